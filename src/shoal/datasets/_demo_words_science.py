"""The words of the demo's science fiction and documentaries."""

from __future__ import annotations

from shoal.datasets._demo_theme import Theme, words

SCIENCE_FICTION_AND_DOCUMENTARIES: tuple[Theme, ...] = (
    Theme(
        name="Space Opera",
        genre="Science Fiction",
        weight=1.6,
        serial=0.5,
        likes=("Dragons", "Submarine", "Robots"),
        avoids=("Countryside", "Seaside"),
        frames=words(
            """The {x} of {a}; {x} Beyond {a}; {a} and the {x}; The {a} {x};
            Nine Light-Years from the {x}; The {x} at the Edge of {a}"""
        ),
        extras=words(
            """Vesh; Ansolon; Caldera Nine; Kessandra; Ten Moons; Quill; Tamarind Station;
            Ophelia Major; Orrery; Far Lantern; Sarn; Seven Dim Suns"""
        ),
        strands=(
            words(
                """Regent; Star Throne; Exiled Heir; Oath; Coronation; Pretender; Orbital Crown;
                Hollow Treaty; Dynasty; Archduchess; Succession"""
            ),
            words(
                """Long Haul; Slow Freighter; Stowaway; Cargo Manifest; Docking Fee; Deckhands;
                Ore Barge; Airlock Choir; Engine Room; Unpaid Crew; Courier Ship"""
            ),
            words(
                """Armada; Vanguard; Starfall; Broadside; Picket Fleet; Flagship; Siege;
                Fighter Wing; Signal Fires; Last Squadron; Blockade"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """{a} and the {x}; {a} Learns about the {x}; {a} Dreams of the {x};
            The {x} According to {a}; Do Not Switch Off the {x}; {a}, Keeper of the {x}"""
        ),
        extras=words(
            """Unit Seven; Model Forty; Tin Ada; Brother Piston; Old Firmware; Clerk Bot Mabel;
            Android 0419; Little Servo; Grandmother Relay; Automaton Bo; Robot Eleven;
            Machine Ines"""
        ),
        strands=(
            words(
                """Ironing; Porridge; Spare Room; Doorbell; Tea Towels; Night Light; School Run;
                Birthday; Bath Time; Cellar Stairs"""
            ),
            words(
                """Greenhouse; Seedlings; Moss; Tomatoes; Rain Gauge; Compost; Terrarium;
                Weather Station; Fern House; Last Oak"""
            ),
            words(
                """Backup; Forgotten Password; Memory Card; Photograph Album; Error Log; Checksum;
                Factory Settings; Final Update; Lullaby File; Lost Hour"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """{x}: {a}; In Praise of {x}; How {x} Rises; Four Bakers and Their {x};
            The Year We Learned {x}; {a}: Notes on {x}; The {x} Pilgrims"""
        ),
        extras=words(
            """A Slow Rise; A Love Story in Flour; Butter and Patience; A History in Crumbs;
            Knead, Rest, Repeat; Proved by Hand; What Grandmother Knew; Hot from the Stone;
            Up Before Dawn; Sugar, Salt and Time; The Golden Half Hour; Two Hundred Degrees"""
        ),
        strands=(
            words(
                """Rye; Sourdough; Flatbread; Brioche; Barley Loaf; Crust; Crumb; Soda Bread;
                Pumpernickel; Focaccia; Challah"""
            ),
            words(
                """Meringue; Choux; Puff Pastry; Custard Tart; Marzipan; Éclair; Sponge Cake;
                Buttercream; Strudel; Macaroon; Mille-Feuille"""
            ),
            words(
                """Village Oven; Flour Mill; Wood Fire; Bakers' Dozen; Rolling Pin; Millstone;
                Night-Shift Bakery; Oven Glove; Market Stall; Bread Van; Wheat Field"""
            ),
        ),
        sequels=words(
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
        frames=words(
            """{x}: {a}; {a} of the {x}; Ten Thousand {x}; The {x} Turn as One;
            Swimming with the {x}; The {x} Know the Way; {a}: Among the {x}"""
        ),
        extras=words(
            """The Silver Parliament; The Long Migration; The Sleep; The Glittering Crowd;
            The Quiet Ballet; The Spawning Moon; The Seven Neighbours; The Leaderless Nation;
            The Turning Light; The Hidden Map; The Wide School; The Patience"""
        ),
        strands=(
            words(
                """Herring; Sardines; Anchovies; Mackerel; Sprats; Bluefin; Capelin;
                Silversides; Flying Fish; Pilchards; Garfish"""
            ),
            words(
                """Wrasse; Parrotfish; Damselfish; Seahorses; Gobies; Moray Eels; Lionfish;
                Surgeonfish; Boxfish; Groupers; Butterflyfish"""
            ),
            words(
                """Salmon; Sticklebacks; Minnows; Elvers; Grayling; Perch; Dace; Lampreys;
                Brook Trout; Loaches; Bullheads"""
            ),
        ),
        sequels=words(
            """The Return; Against the Current; Below the Thermocline; The Next Generation of Fry;
            Winter Water; The Predators Arrive; Home Waters"""
        ),
    ),
)
