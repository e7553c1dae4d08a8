"""Policy files: models and their hyper-parameters in YAML, in the form of hosted recommenders.

policy_configs:                 training:
  embedding_policy:               models:
    policy_type: elsa               - name: mine
    factors: 512                      policy_type: elsa
  scoring_policy:                     factors: {type: tunable_int, min: 128, max: 1024}
    policy_type: ease

In the left form either policy may stand alone, and both may stand below ``model:``.
"""

from shoal.policy.files import (
    PolicyFile,
    only_policy,
    policies_of,
    policy_file,
    policy_of,
    read_policy,
    tell,
)
from shoal.policy.spec import PolicySpec, common_events
from shoal.policy.yaml_files import (
    did_you_mean,
    read_yaml,
    read_yaml_with_lines,
)

__all__ = [
    "PolicyFile",
    "PolicySpec",
    "common_events",
    "did_you_mean",
    "only_policy",
    "policies_of",
    "policy_file",
    "policy_of",
    "read_policy",
    "read_yaml",
    "read_yaml_with_lines",
    "tell",
]
