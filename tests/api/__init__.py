"""Tests of the REST API: OpenAPI, access matrix, parity with the console, the public client."""
