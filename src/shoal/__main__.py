"""``python -m shoal`` is the program; ``torchrun -m shoal`` runs it in several processes."""

try:
    from shoal.cli import main
except KeyboardInterrupt:  # Ctrl-C while it is imported
    raise SystemExit(130) from None

main()
