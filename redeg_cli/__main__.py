"""``python -m redeg_cli`` is ``redeg``."""

from redeg_cli.cli.app import main

if __name__ == "__main__":
    main()
