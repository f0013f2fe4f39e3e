"""`python -m bot` is `knowledge-bot`."""

from bot.cli import main

if __name__ == "__main__":
    main()
