"""Layers: wheels, trees and tars become deterministic blobs."""
