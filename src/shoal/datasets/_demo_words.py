"""The words of the demo catalogue: themes, their title grammars and their sequels.

All invented. A theme has three *strands* (bread, pastry and ovens for the baking films):
what a strand's titles share is what a reader recognises in a list of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """One kind of film, and how its titles are made.

    Parameters
    ----------
    name, genre : str
        Sub-genre (``"Baking"``) and genre (``"Documentary"``).
    weight : float
        How many films it has and how many people like it, against the other themes.
    serial : float
        Share of its works that are series.
    likes, avoids : tuple of str
        Names of the themes that its fans also lean to, or keep away from.
    frames : tuple of str
        Title patterns; ``{x}`` takes a word of the strand, ``{a}`` a word of `extras`.
    extras, sequels : tuple of str
        Words that every strand shares; subtitles of second and later parts.
    strands : tuple of tuple of str
        The words that mark each strand.
    """

    name: str
    genre: str
    weight: float
    serial: float
    likes: tuple[str, ...]
    avoids: tuple[str, ...]
    frames: tuple[str, ...]
    extras: tuple[str, ...]
    strands: tuple[tuple[str, ...], ...]
    sequels: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in text.split(";"))


THEMES: tuple[Theme, ...] = (
    Theme(
        name="Submarine",
        genre="Thriller",
        weight=1.2,
        serial=0.25,
        likes=("Espionage", "Space Opera"),
        avoids=("Village", "Baking"),
        frames=_words(
            """{x} at {a}; The Last {x} Before {a}; No {x} Below {a}; All Hands to the {x};
            {a}, One {x}; The {x} Under the Keel"""
        ),
        extras=_words(
            """Sixty Fathoms; Crush Depth; the Lindqvist Trench; Station Nine; the Barren Shelf;
            Dead Slow; Periscope Depth; the Ninth Bulkhead; Three Hundred Metres; Black Water;
            the Hadal Line; Zero Buoyancy"""
        ),
        strands=(
            _words(
                """Ice Ceiling; Polynya; Pressure Ridge; Frozen Hatch; White Roof; Ice Keel;
                Winter Dive; Narwhal Passage; Drift Ice; Polar Silence; Blue Floe"""
            ),
            _words(
                """Sonar Ghost; Hydrophone; Cold Contact; Silent Screw; False Bearing; Ping;
                Torpedo Room; Listening Watch; Slow Echo; Broken Cipher Buoy; Acoustic Shadow"""
            ),
            _words(
                """Diving Bell; Salvage Line; Tether; Hull Breach; Ballast; Wreck Survey;
                Air Pocket; Rescue Chamber; Rusted Valve; Divers' Bends; Umbilical"""
            ),
        ),
        sequels=_words(
            """Deeper; Surface at Dawn; The Second Crew; Rig for Silence; Flood Warning;
            The Hull Remembers; Blow All Tanks; One Breath Left"""
        ),
    ),
    Theme(
        name="Espionage",
        genre="Thriller",
        weight=1.3,
        serial=0.2,
        likes=("Submarine", "Heist"),
        avoids=("Fish", "Robots"),
        frames=_words(
            """The {a} {x}; The {x} from {a}; Goodbye to the {a} {x}; Nobody Trusts the {x};
            Burn the {x}; {a} Has No {x}; {x}, {a}, Midnight"""
        ),
        extras=_words(
            """Halvenburg; Port Sedge; Karlow; Zelenka Street; Saint Ivo; Brennick; Tarnholm;
            Vellin; Marrow Bridge; Oskovar; Checkpoint Linden; Lower Mirova"""
        ),
        strands=(
            _words(
                """Attaché; Vice-Consul; Ambassador's Tailor; Second Secretary; Interpreter;
                Visa Clerk; Embassy Cook; Diplomatic Bag; Defector; Chargé d'Affaires"""
            ),
            _words(
                """Night Train; Sleeping Car; Border Platform; Left Luggage; False Timetable;
                Signalman; Last Carriage; Customs Shed; Dining Car; Level Crossing"""
            ),
            _words(
                """Cipher; One-Time Pad; Dead Drop; Numbers Station; Invisible Ink; Codebook;
                Microdot; Blank Postcard; Crossword Key; Wireless Operator"""
            ),
        ),
        sequels=_words(
            """The Other Passport; A Cold Exchange; Nothing to Declare; The Sleeper Wakes Late;
            Plausible Rain; Both Sides of the Bridge; Retired Twice; The Empty Safe House"""
        ),
    ),
    Theme(
        name="Countryside",
        genre="Drama",
        weight=1.1,
        serial=0.08,
        likes=("Fish", "Orchestra", "Baking"),
        avoids=("Space Opera", "Heist"),
        frames=_words(
            """The {x} in {a}; {a} and the {x}; What the {x} Remembers; Mending the {x};
            Letters to the {x}; {a}, Behind the {x}; We Sold the {x} in {a}"""
        ),
        extras=_words(
            """October; Early Frost; a Dry Year; Hay Weather; a Wet June; February; Slow Rain;
            the Year of No Snow; the Quiet Months; Late Sun; the Long Evening; Lent"""
        ),
        strands=(
            _words(
                """Orchard; Apple Loft; Cider Press; Pear Tree Wall; Barley Field; Beehives;
                Quince Hedge; Hayrick; Walnut Row; Threshing Floor; Plum Pickers"""
            ),
            _words(
                """Shepherd's Daughter; Drystone Wall; Lambing Shed; High Pasture; Wool Barn;
                Drovers' Road; Old Sheepdog; Shearers; Fell Gate; Winter Flock; Hill Farm"""
            ),
            _words(
                """Ferryman; Mill Race; Water Meadow; Eel Weir; Towpath; Lock Keeper; Reed Cutters;
                Footbridge; Flat-Bottomed Boat; Willow Bank; Slow Ford"""
            ),
        ),
        sequels=_words(
            """Another Spring; The Children Return; After the Harvest; The Neighbour's Field;
            First Snow; The Letter from Town; The Gate Left Open; Home by Dusk"""
        ),
    ),
    Theme(
        name="Orchestra",
        genre="Drama",
        weight=0.8,
        serial=0.05,
        likes=("Countryside", "Gothic"),
        avoids=("Dragons", "Submarine"),
        frames=_words(
            """{x} {a}; Eight Bars' Rest for the {x}; The {x} Comes In Late; Love and {x} {a};
            Somebody Else's {x}, Played Softly"""
        ),
        extras=_words(
            """in E Flat; for Two Strangers; Without Rehearsal; after the Interval; at Half Tempo;
            for an Empty Hall; in a Minor Key; da Capo; Without Applause; for Late Beginners;
            in Another Room; Played from Memory"""
        ),
        strands=(
            _words(
                """Second Violin; Viola; Cello Case; Rosin; Borrowed Bow; Concertmaster;
                String Quartet; Gut String; Double Bass; Fiddle Maker; Pizzicato"""
            ),
            _words(
                """Alto; Choirmaster; Descant; Evensong; Treble; Madrigal; Organ Loft; Last Tenor;
                Cantor; Plainsong; Cathedral Choir"""
            ),
            _words(
                """Piano Tuner; Left Hand; Metronome; Practice Room; Sight-Reader; Sustain Pedal;
                Broken Upright; Black Keys; Accompanist; Page-Turner; Piano Stool"""
            ),
        ),
        sequels=_words("Encore; The Second Movement; Finale; Coda; Scherzo; Tuning Up Again"),
    ),
    Theme(
        name="Space Opera",
        genre="Science Fiction",
        weight=1.6,
        serial=0.5,
        likes=("Dragons", "Submarine", "Robots"),
        avoids=("Countryside", "Seaside"),
        frames=_words(
            """The {x} of {a}; {x} Beyond {a}; {a} and the {x}; The {a} {x};
            Nine Light-Years from the {x}; The {x} at the Edge of {a}"""
        ),
        extras=_words(
            """Vesh; Ansolon; Caldera Nine; Kessandra; Ten Moons; Quill; Tamarind Station;
            Ophelia Major; Orrery; Far Lantern; Sarn; Seven Dim Suns"""
        ),
        strands=(
            _words(
                """Regent; Star Throne; Exiled Heir; Oath; Coronation; Pretender; Orbital Crown;
                Hollow Treaty; Dynasty; Archduchess; Succession"""
            ),
            _words(
                """Long Haul; Slow Freighter; Stowaway; Cargo Manifest; Docking Fee; Deckhands;
                Ore Barge; Airlock Choir; Engine Room; Unpaid Crew; Courier Ship"""
            ),
            _words(
                """Armada; Vanguard; Starfall; Broadside; Picket Fleet; Flagship; Siege;
                Fighter Wing; Signal Fires; Last Squadron; Blockade"""
            ),
        ),
        sequels=_words(
            """The Burning Meridian; Ashes in Orbit; A Quarrel of Suns; The Gate Below Heaven;
            Exodus by Lamplight; The Long Dark Between; Return to Aphelion; The Cartographer's War;
            All Stars Inward; Embers of the Fleet"""
        ),
    ),
    Theme(
        name="Robots",
        genre="Science Fiction",
        weight=0.9,
        serial=0.15,
        likes=("Clockwork", "Space Opera"),
        avoids=("Gothic", "Espionage"),
        frames=_words(
            """{a} and the {x}; {a} Learns about the {x}; {a} Dreams of the {x};
            The {x} According to {a}; Do Not Switch Off the {x}; {a}, Keeper of the {x}"""
        ),
        extras=_words(
            """Unit Seven; Model Forty; Tin Ada; Brother Piston; Old Firmware; Clerk Bot Mabel;
            Android 0419; Little Servo; Grandmother Relay; Automaton Bo; Robot Eleven;
            Machine Ines"""
        ),
        strands=(
            _words(
                """Ironing; Porridge; Spare Room; Doorbell; Tea Towels; Night Light; School Run;
                Birthday; Bath Time; Cellar Stairs"""
            ),
            _words(
                """Greenhouse; Seedlings; Moss; Tomatoes; Rain Gauge; Compost; Terrarium;
                Weather Station; Fern House; Last Oak"""
            ),
            _words(
                """Backup; Forgotten Password; Memory Card; Photograph Album; Error Log; Checksum;
                Factory Settings; Final Update; Lullaby File; Lost Hour"""
            ),
        ),
        sequels=_words(
            """Rebooted; Spare Parts; Still Under Warranty; A New Battery; The Upgrade;
            Second-Hand Heart; Standby; Patch Notes"""
        ),
    ),
    Theme(
        name="Baking",
        genre="Documentary",
        weight=1.0,
        serial=0.12,
        likes=("Countryside", "Village"),
        avoids=("Submarine", "Gothic"),
        frames=_words(
            """{x}: {a}; In Praise of {x}; How {x} Rises; Four Bakers and Their {x};
            The Year We Learned {x}; {a}: Notes on {x}; The {x} Pilgrims"""
        ),
        extras=_words(
            """A Slow Rise; A Love Story in Flour; Butter and Patience; A History in Crumbs;
            Knead, Rest, Repeat; Proved by Hand; What Grandmother Knew; Hot from the Stone;
            Up Before Dawn; Sugar, Salt and Time; The Golden Half Hour; Two Hundred Degrees"""
        ),
        strands=(
            _words(
                """Rye; Sourdough; Flatbread; Brioche; Barley Loaf; Crust; Crumb; Soda Bread;
                Pumpernickel; Focaccia; Challah"""
            ),
            _words(
                """Meringue; Choux; Puff Pastry; Custard Tart; Marzipan; Éclair; Sponge Cake;
                Buttercream; Strudel; Macaroon; Mille-Feuille"""
            ),
            _words(
                """Village Oven; Flour Mill; Wood Fire; Bakers' Dozen; Rolling Pin; Millstone;
                Night-Shift Bakery; Oven Glove; Market Stall; Bread Van; Wheat Field"""
            ),
        ),
        sequels=_words(
            """Second Proving; The Other Oven; Out of Flour; Seconds, Please; The Apprentices;
            Back to the Bench; Crumbs Remain"""
        ),
    ),
    Theme(
        name="Fish",
        genre="Documentary",
        weight=0.9,
        serial=0.15,
        likes=("Countryside", "Seaside"),
        avoids=("Espionage", "Dragons"),
        frames=_words(
            """{x}: {a}; {a} of the {x}; Ten Thousand {x}; The {x} Turn as One;
            Swimming with the {x}; The {x} Know the Way; {a}: Among the {x}"""
        ),
        extras=_words(
            """The Silver Parliament; The Long Migration; The Sleep; The Glittering Crowd;
            The Quiet Ballet; The Spawning Moon; The Seven Neighbours; The Leaderless Nation;
            The Turning Light; The Hidden Map; The Wide School; The Patience"""
        ),
        strands=(
            _words(
                """Herring; Sardines; Anchovies; Mackerel; Sprats; Bluefin; Capelin;
                Silversides; Flying Fish; Pilchards; Garfish"""
            ),
            _words(
                """Wrasse; Parrotfish; Damselfish; Seahorses; Gobies; Moray Eels; Lionfish;
                Surgeonfish; Boxfish; Groupers; Butterflyfish"""
            ),
            _words(
                """Salmon; Sticklebacks; Minnows; Elvers; Grayling; Perch; Dace; Lampreys;
                Brook Trout; Loaches; Bullheads"""
            ),
        ),
        sequels=_words(
            """The Return; Against the Current; Below the Thermocline; The Next Generation of Fry;
            Winter Water; The Predators Arrive; Home Waters"""
        ),
    ),
    Theme(
        name="Heist",
        genre="Comedy",
        weight=1.5,
        serial=0.25,
        likes=("Espionage", "Village"),
        avoids=("Countryside", "Orchestra"),
        frames=_words(
            """{a} Steal the {x}; {a} and the {x} Job; {a} Versus the {x}; Who Took the {x}?;
            Kindly Put Back the {x}; {a} Return the {x}; {x}, Slightly Stolen;
            {a} Mislay the {x}"""
        ),
        extras=_words(
            """Three Aunts; Nine Pensioners; Five Plumbers; Two Ushers; The Brass Band;
            Six Librarians; The Understudies; Four Waiters; The Cousins Pinto; Seven Accountants;
            The Quiz Team; Eleven Dentists"""
        ),
        strands=(
            _words(
                """Tapestry; Left-Hand Portrait; Bronze Hare; Gilt Frame; Tiny Masterpiece;
                Porcelain Pig; Marble Nose; Still Life; Sculpture Garden; Sultan's Teapot"""
            ),
            _words(
                """Vault; Very Safe Safe; Night Deposit; Getaway Tram; Wrong Bank; Tunnel;
                Gold Tooth; Time Lock; Armoured Car; Mint"""
            ),
            _words(
                """Big Cheese; Truffle; Royal Ham; Wedding Cake; Caviar; Marmalade; Vintage Port;
                Saffron; Prize Pumpkin; Secret Recipe"""
            ),
        ),
        sequels=_words(
            """The Getaway Gets Away; One Last Last Job; Same Time, Different Bank; The Alibi Club;
            Honour among Amateurs; Out on Good Behaviour; The Loot Strikes Back; Split Six Ways"""
        ),
    ),
    Theme(
        name="Village",
        genre="Comedy",
        weight=1.0,
        serial=0.15,
        likes=("Seaside", "Baking"),
        avoids=("Submarine", "Space Opera"),
        frames=_words(
            """{a} Votes on the {x}; The Great {a} {x}; {a} Loses Its {x};
            Any Other Business: The {x}; Trouble with the {x}; {a} Bans the {x};
            Who Will Judge the {a} {x}?; The {x} Affair at {a}"""
        ),
        extras=_words(
            """Upper Muddle; Much Dithering; Lesser Fuss; Nether Grumble; Hither Bother;
            Long Tarrying; Crumpley; Old Quibble; Dawdle-under-Edge; Pottering Parva;
            Bickerstoke; Little Umbrage"""
        ),
        strands=(
            _words(
                """Marrow Contest; Tombola; Jam Table; Coconut Shy; Allotment; Raffle; Dog Show;
                Scarecrow; Cake Stall; Sack Race"""
            ),
            _words(
                """Pantomime Horse; Prompter; Dress Rehearsal; Safety Curtain; Matinee;
                Leading Man; Nativity Camel; Stage Manager; Curtain Call; Amateur Opera"""
            ),
            _words(
                """Parish Council; Bypass; Footpath; Bus Shelter; By-Election; Pothole;
                Church Roof; Duck Pond; Missing Minutes; Quorum"""
            ),
        ),
        sequels=_words(
            """Matters Arising; Apologies for Absence; The Recount; Rain Stopped Play;
            The Vicar Objects; Next Year's Committee; Carried Unanimously; Late Entries"""
        ),
    ),
    Theme(
        name="Gothic",
        genre="Mystery",
        weight=1.1,
        serial=0.15,
        likes=("Clockwork", "Orchestra"),
        avoids=("Baking", "Robots"),
        frames=_words(
            """The {x} of {a}; The {a} {x}; Whispers from the {x}; Never Ask about the {x};
            {a}, or The {x}; By Candlelight to the {x} of {a}; Midnight by the {x}"""
        ),
        extras=_words(
            """Ravenhollow; Mournsey; Gallowmere; Harrowdene; Thornwick; Ashgrave; Dreadmarsh;
            Castle Vane; Sorrowby; Bleakstone; Widowmoor; Nightingrave"""
        ),
        strands=(
            _words(
                """Locked Wing; Attic; Thirteenth Stair; Governess; Sealed Nursery; Candle Room;
                Bell Pull; Housekeeper; Cellar Door; Empty Cradle"""
            ),
            _words(
                """Abbess; Bog Lantern; Crypt; Yew Walk; Gravedigger; Moor Road; Chapel Bell;
                Standing Stone; Lychgate; Drowned Churchyard"""
            ),
            _words(
                """Pale Portrait; Mourning Ring; Black Veil; Music Box; Widow's Mirror; Locket;
                Cursed Inheritance; Wax Bride; Thorn Brooch; Burnt Will"""
            ),
        ),
        sequels=_words(
            """The Candle Relit; The Second Wife; A Hand at the Window; What the Rooks Saw;
            The Unquiet Guest; The Key in the Ivy; Another Funeral; The House Replies"""
        ),
    ),
    Theme(
        name="Seaside",
        genre="Mystery",
        weight=1.2,
        serial=0.3,
        likes=("Village", "Fish"),
        avoids=("Space Opera", "Dragons"),
        frames=_words(
            """{a} and the {x}; {a} Suspects the {x}; {a} at the {x}; Murder by {x};
            A Body, One {x}; {a} Closes the {x}; Death Comes to the {x};
            {a}, the {x} and the Corpse"""
        ),
        extras=_words(
            """Miss Cockle; Constable Whelk; Sergeant Limpet; Mrs Periwinkle; Inspector Dabb;
            Canon Mussel; Doctor Brine; Auntie Winkle; Inspector Prawle; Colonel Shingle;
            Nurse Barnacle; Mr Groyne"""
        ),
        strands=(
            _words(
                """Pier; Helter-Skelter; Bandstand; Deckchair; Punch Booth; Penny Arcade;
                Candyfloss Stall; Promenade; Donkey Ride; Ghost Train"""
            ),
            _words(
                """Boarding House; Kipper Breakfast; Full Board; Landlady's Parrot; Tea Urn;
                Draughty Bedroom; Front Parlour; Missing Lodger; Hot-Water Bottle; Guest Book"""
            ),
            _words(
                """Lighthouse; Lobster Pot; Foghorn; Lifeboat; Crab Boat; Harbour Master;
                Tide Table; Slipway; Net Loft; Smugglers' Steps"""
            ),
        ),
        sequels=_words(
            """Out of Season; A Second Body; Wish You Were Dead; Low Water; The Bank Holiday;
            Sand in the Evidence; The Last Ferry; Weather Permitting"""
        ),
    ),
    Theme(
        name="Clockwork",
        genre="Fantasy",
        weight=1.0,
        serial=0.35,
        likes=("Gothic", "Robots", "Dragons"),
        avoids=("Heist", "Submarine"),
        frames=_words(
            """The {a} {x}; The Girl Who Wound the {a} {x}; Seven Keys to the {a} {x};
            The Boy inside the {a} {x}; The {x} That Ticked; Once upon the {a} {x}"""
        ),
        extras=_words(
            """Tide; Moth; Lantern; Winter; Copper; Thimble; Salt; Paper; Ember; Thistle;
            Rain; Brass"""
        ),
        strands=(
            _words(
                """Clock; Hourglass; Sundial; Pendulum; Almanac; Escapement; Calendar;
                Minute Hand; Watchmaker; Chronometer"""
            ),
            _words(
                """Marionette; Carousel; Toymaker; Dollhouse; Puppet King; Kite; Spinning Top;
                Tin Drummer; Jack-in-the-Box; Toy Theatre"""
            ),
            _words(
                """Nightingale; Fox; Heron; Stag; Beetle; Hare; Owl; Tortoise; Swan; Dragonfly"""
            ),
        ),
        sequels=_words(
            """The Drowned Hour; A Spring Unwound; The Cogwright's Daughter; Midnight, Twice;
            The Key Beneath the Ice; The Hour That Went Missing; The Rusted Crown; The Last Tick"""
        ),
    ),
    Theme(
        name="Dragons",
        genre="Fantasy",
        weight=1.4,
        serial=0.4,
        likes=("Space Opera", "Clockwork"),
        avoids=("Orchestra", "Fish"),
        frames=_words(
            """The {a} {x}; {x}, {a}; In Triplicate: The {x}; The {x} Requires a Signature;
            Bureau of the {a} {x}; Please Queue for the {x}; My {a} {x} and Its Paperwork"""
        ),
        extras=_words(
            """Licensed; Unpaid; Overdue; Provisional; Part-Time; Certified; Unionised; Interim;
            Tax-Exempt; Deputy; Notarised; Out-of-Office"""
        ),
        strands=(
            _words(
                """Dragon; Wyvern; Dragon's Hoard; Hatchling; Fire-Breather; Basilisk; Lindworm;
                Dragon's Egg; Drake; Griffin"""
            ),
            _words(
                """Wizard; Broomstick; Cauldron; Sorcerer's Clerk; Familiar; Spellbook;
                Crystal Ball; Love Potion; Warlock; Wand"""
            ),
            _words(
                """Quest; Prophecy; Chosen One; Enchanted Sword; Treasure Map; Dungeon;
                Questing Party; Toll Ogre; Riddle Bridge; Oracle"""
            ),
        ),
        sequels=_words(
            """The Appeal; Form Nineteen; Pending Review; The Smouldering Audit; Lunch Hour;
            The Counter-Signature; Back to the Queue; The Flammable Archive; Final Notice"""
        ),
    ),
)
