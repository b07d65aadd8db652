"""HTTP, on aiohttp: generic over the routes of all dialects."""
