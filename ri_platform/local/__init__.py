"""`make run`: the whole product on one machine, with services of its own and nothing to configure."""
