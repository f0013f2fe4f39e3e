"""The HTTP server around the questions: who may ask, how much, how long, and what an operator sees."""

import asyncio
import json

import httpx
import pytest
from structlog.testing import capture_logs

from bot import http_server
from tests.adapters.http.http_house import TOKEN, HttpHouse, until
