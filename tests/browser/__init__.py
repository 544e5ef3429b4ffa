"""Tests in Chromium: keyboard, accessibility, whole ways through the console."""
