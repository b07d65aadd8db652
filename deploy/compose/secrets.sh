#!/bin/sh
# Makes the secrets of compose.yaml, in secrets/ beside it; what is there already stays. Needs openssl.
#
#   deploy/compose/secrets.sh [NAME]      NAME: by which devices reach this machine (default: localhost)
#
# Keep a copy of master-key somewhere else: without it a backup of the registry cannot be opened.
set -eu
name=${1:-localhost}
folder=$(dirname "$0")/secrets
mkdir -p "$folder"
# The folder keeps others on this machine out. The files are readable, as the containers' users are other ones than yours.
chmod 700 "$folder"
cd "$folder"
umask 333

keep() { # FILE COMMAND...: what the command prints becomes a secret, which is whole or not there
    file=$1
    shift
    [ -e "$file" ] && return
    "$@" >"$file.partial"
    mv "$file.partial" "$file"
    echo "made $file"
}

keep master-key openssl rand -hex 32
keep admin-token openssl rand -hex 32
keep broker-password openssl rand -hex 24
keep database-password openssl rand -hex 24
keep database-url printf 'postgresql://firstlight:%s@database/firstlight\n' "$(cat database-password)"

if ! [ -e server.pem ]; then
    # Signed by itself: good for trying out. Put a certificate of your own authority in its place (firstlight tls init makes one).
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 397 -subj "/CN=$name" \
        -addext "subjectAltName=DNS:$name" -keyout server-key.pem.partial -out server.pem.partial 2>/dev/null
    chmod 444 server-key.pem.partial server.pem.partial
    mv server-key.pem.partial server-key.pem
    mv server.pem.partial server.pem
    echo "made server.pem, server-key.pem"
fi
