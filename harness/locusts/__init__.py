"""What runs inside Locust's processes. Importing it imports Locust, which makes everything run on gevent."""
