"""Entry point of ``python -m milmer_cli``."""

from milmer_cli.cli.app import main

if __name__ == "__main__":
    main()
