"""A commented configuration to begin with."""

EXAMPLE = """\
# How the next version of a live model is made: `shoal refresh refresh.yaml`.
# Paths are relative to the folder of this file.

store: store                   # where versions are published; made if it is not there

log:                           # what users did until now; leave it out to learn from events alone
  path: data/log.parquet       # or a pattern: data/log-*.parquet
  # items: data/items.csv      # attributes of items: titles, and what filters ask for
  # read:                      # as the options of `shoal train`, with _ for -
  #   columns: {user: userId, item: movieId, value: rating, time: timestamp}
  #   min_value: 4
  #   min_item_users: 5

# events:                      # what the service has stored since
#   url: events.sqlite         # a SQLite file, or postgresql://…; $NAME: the environment
#   weights: {view: 1, purchase: 5, dislike: 0}   # 0 takes the item out; other types do not count

model: ease                    # or `policy: policy.yaml` in place of model and settings
settings: {l2: 500}

evaluation:
  compare: true                # false: publish without comparing, for logs without times
  metric: ndcg@100             # recall, precision, hit_rate, map and mrr also work
  share: 0.1                   # hold out the latest tenth of all interactions …
  # days: 7                    # … or those of the last 7 days
  margin: 0.02                 # publish if at most 2 % worse than the live model
  least_users: 50              # compare on no fewer users
  least_share: 0.5             # refuse a log that has shrunk below half of what it was

keep: 5                        # versions that stay in the store

# schedule: "03:00"            # every day (by this host's clock), or an interval: "24h", "30m"

# threads: 1                   # for training; default: all cores
# memory: 8GB                  # for training; default: 80 % of what is free
# nice: 10                     # how much training gives way to the service
"""
