"""The themes of the demo catalogue, with the words of their titles and of their sequels.

All invented. A theme has three *strands* (bread, pastry and ovens for the baking films):
what a strand's titles share is what a reader recognises in a list of neighbours.
"""

from __future__ import annotations

from shoal.datasets._demo_theme import Theme
from shoal.datasets._demo_words_comedy import COMEDIES_AND_FANTASIES
from shoal.datasets._demo_words_drama import THRILLERS_AND_DRAMAS
from shoal.datasets._demo_words_science import SCIENCE_FICTION_AND_DOCUMENTARIES

# a seed gives the same films as long as the themes stand in this order
THEMES: tuple[Theme, ...] = (
    *THRILLERS_AND_DRAMAS,
    *SCIENCE_FICTION_AND_DOCUMENTARIES,
    *COMEDIES_AND_FANTASIES,
)
