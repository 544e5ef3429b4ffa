"""Reads for pages, endpoints and jobs: lists, filters, matches, forecasts, kept builds."""
