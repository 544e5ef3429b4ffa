#!/bin/sh
# Make what compose.yaml mounts as secrets, in deploy/secrets; what is there already is kept.
# The folder is its owner's alone. The files in it can be read, for containers see them as another user.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { [ -s "secrets/$1" ] || printf '%s\n' "$2" > "secrets/$1"; }

keep secret_key "$(random)"
keep metrics_token "$(random)"
keep database_password "$(random)"
keep database_url "postgres://ri:$(cat secrets/database_password)@database:5432/ri_platform"
broker_password=$(random)
if [ ! -s secrets/broker.conf ]; then
  printf 'default_user = ri\ndefault_pass = %s\n' "$broker_password" > secrets/broker.conf
  printf 'amqp://ri:%s@broker:5672//\n' "$broker_password" > secrets/broker_url
fi
chmod 444 secrets/*

# What is left to fill in by hand.
for name in platform registry-server build-jobs; do
  [ -e "$name.env" ] || cp "$name.env.example" "$name.env"
  chmod 600 "$name.env"
done
echo "Now edit deploy/platform.env, deploy/registry-server.env and deploy/build-jobs.env."
