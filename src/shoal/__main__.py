"""``python -m shoal`` is the program; ``torchrun -m shoal`` runs it in several processes."""

from shoal.cli import main

main()
