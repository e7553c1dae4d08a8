"""The largest requests that the service takes; what is larger is refused before any work."""

from __future__ import annotations

from shoal.inference import filters
from shoal.steering.levels import LIMIT

BODY_BYTES = 2**20  # of a request: 413 beyond it
HISTORY = 1_000  # items of a history, of a cart and of what one user is remembered by
K = 1_000  # recommendations in a list
CANDIDATES = 10_000  # items to rank, to exclude or to choose among
ID_CHARACTERS = 256
REASONS = 100_000  # items of lists times items of their histories, in one request with reasons
BATCH = 100  # requests in a batch
EXPRESSION_CHARACTERS = filters.LONGEST  # of a filter or a boost
NEW_ITEMS = 50  # that come with a request
TEXT_CHARACTERS = 10_000  # of a new item
ATTRIBUTES = 50  # of a new item
LEVELS = -LIMIT, LIMIT  # of a knob
KNOBS = 100  # that a request turns
BOOSTS = filters.MOST_CONDITIONS  # in a mapping of boosts
BOOST_RANGE = filters.SMALLEST, filters.LARGEST  # of a factor
WEIGHT = 1e6  # the largest weight of an item of a history
JSON_DEPTH = 32  # brackets that are open at once
HEADER_CHARACTERS = 128  # of a request id that a client chose
