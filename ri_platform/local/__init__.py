"""`make run`: the whole product on one machine, with its own services and no configuration."""
