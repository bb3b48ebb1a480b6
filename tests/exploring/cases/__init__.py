"""The eight cases an explorer must get right, each driven three ways: asyncpg, psycopg2, and over HTTP."""
