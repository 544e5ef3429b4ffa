from ri_platform_sdk.cli.app import main

main(prog_name="ri-images")
