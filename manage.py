#!/usr/bin/env python
from ri_platform.command_line import main

if __name__ == "__main__":
    main()
