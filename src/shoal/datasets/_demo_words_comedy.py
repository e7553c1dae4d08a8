"""The words of the demo's comedies, mysteries and fantasies."""

from __future__ import annotations

from shoal.datasets._demo_theme import Theme, words

COMEDIES_AND_FANTASIES: tuple[Theme, ...] = (
    Theme(
        name="Heist",
        genre="Comedy",
        weight=1.5,
        serial=0.25,
        likes=("Espionage", "Village"),
        avoids=("Countryside", "Orchestra"),
        frames=words(
            """{a} Steal the {x}; {a} and the {x} Job; {a} Versus the {x}; Who Took the {x}?;
            Kindly Put Back the {x}; {a} Return the {x}; {x}, Slightly Stolen;
            {a} Mislay the {x}"""
        ),
        extras=words(
            """Three Aunts; Nine Pensioners; Five Plumbers; Two Ushers; The Brass Band;
            Six Librarians; The Understudies; Four Waiters; The Cousins Pinto; Seven Accountants;
            The Quiz Team; Eleven Dentists"""
        ),
        strands=(
            words(
                """Tapestry; Left-Hand Portrait; Bronze Hare; Gilt Frame; Tiny Masterpiece;
                Porcelain Pig; Marble Nose; Still Life; Sculpture Garden; Sultan's Teapot"""
            ),
            words(
                """Vault; Very Safe Safe; Night Deposit; Getaway Tram; Wrong Bank; Tunnel;
                Gold Tooth; Time Lock; Armoured Car; Mint"""
            ),
            words(
                """Big Cheese; Truffle; Royal Ham; Wedding Cake; Caviar; Marmalade; Vintage Port;
                Saffron; Prize Pumpkin; Secret Recipe"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """{a} Votes on the {x}; The Great {a} {x}; {a} Loses Its {x};
            Any Other Business: The {x}; Trouble with the {x}; {a} Bans the {x};
            Who Will Judge the {a} {x}?; The {x} Affair at {a}"""
        ),
        extras=words(
            """Upper Muddle; Much Dithering; Lesser Fuss; Nether Grumble; Hither Bother;
            Long Tarrying; Crumpley; Old Quibble; Dawdle-under-Edge; Pottering Parva;
            Bickerstoke; Little Umbrage"""
        ),
        strands=(
            words(
                """Marrow Contest; Tombola; Jam Table; Coconut Shy; Allotment; Raffle; Dog Show;
                Scarecrow; Cake Stall; Sack Race"""
            ),
            words(
                """Pantomime Horse; Prompter; Dress Rehearsal; Safety Curtain; Matinee;
                Leading Man; Nativity Camel; Stage Manager; Curtain Call; Amateur Opera"""
            ),
            words(
                """Parish Council; Bypass; Footpath; Bus Shelter; By-Election; Pothole;
                Church Roof; Duck Pond; Missing Minutes; Quorum"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """The {x} of {a}; The {a} {x}; Whispers from the {x}; Never Ask about the {x};
            {a}, or The {x}; By Candlelight to the {x} of {a}; Midnight by the {x}"""
        ),
        extras=words(
            """Ravenhollow; Mournsey; Gallowmere; Harrowdene; Thornwick; Ashgrave; Dreadmarsh;
            Castle Vane; Sorrowby; Bleakstone; Widowmoor; Nightingrave"""
        ),
        strands=(
            words(
                """Locked Wing; Attic; Thirteenth Stair; Governess; Sealed Nursery; Candle Room;
                Bell Pull; Housekeeper; Cellar Door; Empty Cradle"""
            ),
            words(
                """Abbess; Bog Lantern; Crypt; Yew Walk; Gravedigger; Moor Road; Chapel Bell;
                Standing Stone; Lychgate; Drowned Churchyard"""
            ),
            words(
                """Pale Portrait; Mourning Ring; Black Veil; Music Box; Widow's Mirror; Locket;
                Cursed Inheritance; Wax Bride; Thorn Brooch; Burnt Will"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """{a} and the {x}; {a} Suspects the {x}; {a} at the {x}; Murder by {x};
            A Body, One {x}; {a} Closes the {x}; Death Comes to the {x};
            {a}, the {x} and the Corpse"""
        ),
        extras=words(
            """Miss Cockle; Constable Whelk; Sergeant Limpet; Mrs Periwinkle; Inspector Dabb;
            Canon Mussel; Doctor Brine; Auntie Winkle; Inspector Prawle; Colonel Shingle;
            Nurse Barnacle; Mr Groyne"""
        ),
        strands=(
            words(
                """Pier; Helter-Skelter; Bandstand; Deckchair; Punch Booth; Penny Arcade;
                Candyfloss Stall; Promenade; Donkey Ride; Ghost Train"""
            ),
            words(
                """Boarding House; Kipper Breakfast; Full Board; Landlady's Parrot; Tea Urn;
                Draughty Bedroom; Front Parlour; Missing Lodger; Hot-Water Bottle; Guest Book"""
            ),
            words(
                """Lighthouse; Lobster Pot; Foghorn; Lifeboat; Crab Boat; Harbour Master;
                Tide Table; Slipway; Net Loft; Smugglers' Steps"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """The {a} {x}; The Girl Who Wound the {a} {x}; Seven Keys to the {a} {x};
            The Boy inside the {a} {x}; The {x} That Ticked; Once upon the {a} {x}"""
        ),
        extras=words(
            """Tide; Moth; Lantern; Winter; Copper; Thimble; Salt; Paper; Ember; Thistle;
            Rain; Brass"""
        ),
        strands=(
            words(
                """Clock; Hourglass; Sundial; Pendulum; Almanac; Escapement; Calendar;
                Minute Hand; Watchmaker; Chronometer"""
            ),
            words(
                """Marionette; Carousel; Toymaker; Dollhouse; Puppet King; Kite; Spinning Top;
                Tin Drummer; Jack-in-the-Box; Toy Theatre"""
            ),
            words(
                """Nightingale; Fox; Heron; Stag; Beetle; Hare; Owl; Tortoise; Swan; Dragonfly"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """The {a} {x}; {x}, {a}; In Triplicate: The {x}; The {x} Requires a Signature;
            Bureau of the {a} {x}; Please Queue for the {x}; My {a} {x} and Its Paperwork"""
        ),
        extras=words(
            """Licensed; Unpaid; Overdue; Provisional; Part-Time; Certified; Unionised; Interim;
            Tax-Exempt; Deputy; Notarised; Out-of-Office"""
        ),
        strands=(
            words(
                """Dragon; Wyvern; Dragon's Hoard; Hatchling; Fire-Breather; Basilisk; Lindworm;
                Dragon's Egg; Drake; Griffin"""
            ),
            words(
                """Wizard; Broomstick; Cauldron; Sorcerer's Clerk; Familiar; Spellbook;
                Crystal Ball; Love Potion; Warlock; Wand"""
            ),
            words(
                """Quest; Prophecy; Chosen One; Enchanted Sword; Treasure Map; Dungeon;
                Questing Party; Toll Ogre; Riddle Bridge; Oracle"""
            ),
        ),
        sequels=words(
            """The Appeal; Form Nineteen; Pending Review; The Smouldering Audit; Lunch Hour;
            The Counter-Signature; Back to the Queue; The Flammable Archive; Final Notice"""
        ),
    ),
)
