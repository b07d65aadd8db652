#!/bin/sh
# Starts mosquitto with the password of the gateways from a secret's file. Nothing but its digest is in the broker's own file.
set -eu
umask 077
printf 'firstlight:%s\n' "$(cat "${PASSWORD_FILE:-/run/secrets/broker-password}")" >"${PASSWORDS:=/tmp/firstlight.passwd}"
mosquitto_passwd -U "$PASSWORDS"
exec mosquitto -c "${CONFIGURATION:-/firstlight/mosquitto.conf}"
