"""The words of the demo's thrillers and dramas."""

from __future__ import annotations

from shoal.datasets._demo_theme import Theme, words

THRILLERS_AND_DRAMAS: tuple[Theme, ...] = (
    Theme(
        name="Submarine",
        genre="Thriller",
        weight=1.2,
        serial=0.25,
        likes=("Espionage", "Space Opera"),
        avoids=("Village", "Baking"),
        frames=words(
            """{x} at {a}; The Last {x} Before {a}; No {x} Below {a}; All Hands to the {x};
            {a}, One {x}; The {x} Under the Keel"""
        ),
        extras=words(
            """Sixty Fathoms; Crush Depth; the Lindqvist Trench; Station Nine; the Barren Shelf;
            Dead Slow; Periscope Depth; the Ninth Bulkhead; Three Hundred Metres; Black Water;
            the Hadal Line; Zero Buoyancy"""
        ),
        strands=(
            words(
                """Ice Ceiling; Polynya; Pressure Ridge; Frozen Hatch; White Roof; Ice Keel;
                Winter Dive; Narwhal Passage; Drift Ice; Polar Silence; Blue Floe"""
            ),
            words(
                """Sonar Ghost; Hydrophone; Cold Contact; Silent Screw; False Bearing; Ping;
                Torpedo Room; Listening Watch; Slow Echo; Broken Cipher Buoy; Acoustic Shadow"""
            ),
            words(
                """Diving Bell; Salvage Line; Tether; Hull Breach; Ballast; Wreck Survey;
                Air Pocket; Rescue Chamber; Rusted Valve; Divers' Bends; Umbilical"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """The {a} {x}; The {x} from {a}; Goodbye to the {a} {x}; Nobody Trusts the {x};
            Burn the {x}; {a} Has No {x}; {x}, {a}, Midnight"""
        ),
        extras=words(
            """Halvenburg; Port Sedge; Karlow; Zelenka Street; Saint Ivo; Brennick; Tarnholm;
            Vellin; Marrow Bridge; Oskovar; Checkpoint Linden; Lower Mirova"""
        ),
        strands=(
            words(
                """Attaché; Vice-Consul; Ambassador's Tailor; Second Secretary; Interpreter;
                Visa Clerk; Embassy Cook; Diplomatic Bag; Defector; Chargé d'Affaires"""
            ),
            words(
                """Night Train; Sleeping Car; Border Platform; Left Luggage; False Timetable;
                Signalman; Last Carriage; Customs Shed; Dining Car; Level Crossing"""
            ),
            words(
                """Cipher; One-Time Pad; Dead Drop; Numbers Station; Invisible Ink; Codebook;
                Microdot; Blank Postcard; Crossword Key; Wireless Operator"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """The {x} in {a}; {a} and the {x}; What the {x} Remembers; Mending the {x};
            Letters to the {x}; {a}, Behind the {x}; We Sold the {x} in {a}"""
        ),
        extras=words(
            """October; Early Frost; a Dry Year; Hay Weather; a Wet June; February; Slow Rain;
            the Year of No Snow; the Quiet Months; Late Sun; the Long Evening; Lent"""
        ),
        strands=(
            words(
                """Orchard; Apple Loft; Cider Press; Pear Tree Wall; Barley Field; Beehives;
                Quince Hedge; Hayrick; Walnut Row; Threshing Floor; Plum Pickers"""
            ),
            words(
                """Shepherd's Daughter; Drystone Wall; Lambing Shed; High Pasture; Wool Barn;
                Drovers' Road; Old Sheepdog; Shearers; Fell Gate; Winter Flock; Hill Farm"""
            ),
            words(
                """Ferryman; Mill Race; Water Meadow; Eel Weir; Towpath; Lock Keeper; Reed Cutters;
                Footbridge; Flat-Bottomed Boat; Willow Bank; Slow Ford"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """{x} {a}; Eight Bars' Rest for the {x}; The {x} Comes In Late; Love and {x} {a};
            Somebody Else's {x}, Played Softly"""
        ),
        extras=words(
            """in E Flat; for Two Strangers; Without Rehearsal; after the Interval; at Half Tempo;
            for an Empty Hall; in a Minor Key; da Capo; Without Applause; for Late Beginners;
            in Another Room; Played from Memory"""
        ),
        strands=(
            words(
                """Second Violin; Viola; Cello Case; Rosin; Borrowed Bow; Concertmaster;
                String Quartet; Gut String; Double Bass; Fiddle Maker; Pizzicato"""
            ),
            words(
                """Alto; Choirmaster; Descant; Evensong; Treble; Madrigal; Organ Loft; Last Tenor;
                Cantor; Plainsong; Cathedral Choir"""
            ),
            words(
                """Piano Tuner; Left Hand; Metronome; Practice Room; Sight-Reader; Sustain Pedal;
                Broken Upright; Black Keys; Accompanist; Page-Turner; Piano Stool"""
            ),
        ),
        sequels=words("Encore; The Second Movement; Finale; Coda; Scherzo; Tuning Up Again"),
    ),
)
