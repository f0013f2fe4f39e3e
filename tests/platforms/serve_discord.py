"""The program, with discord.py turned to a local server: `python -m tests.platforms.serve_discord API GATEWAY run`."""

import sys

import discord
import yarl

from bot.cli import main

if __name__ == "__main__":
    _, discord.http.Route.BASE, gateway, *arguments = sys.argv
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
    sys.argv[1:] = arguments
    main()
