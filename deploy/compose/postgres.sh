#!/bin/sh
# Makes the data folder at the first start, and becomes the server: `postgres [options]`.
set -eu
: "${POSTGRES_PASSWORD:?is not set}"
shift  # the word `postgres`, which images of PostgreSQL want first

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # Under another name until it is whole: a start that is killed here begins again.
  rm -rf "$PGDATA.new"
  mkdir -p "$PGDATA.new"
  (umask 077; printf '%s' "$POSTGRES_PASSWORD" > /tmp/superuser)
  initdb --pgdata="$PGDATA.new" --username=postgres --pwfile=/tmp/superuser --auth=scram-sha-256 \
    --encoding=UTF8 --locale-provider=builtin --builtin-locale=C.UTF-8 --no-instructions > /dev/null
  rm /tmp/superuser
  echo 'host all all all scram-sha-256' >> "$PGDATA.new/pg_hba.conf"
  mv "$PGDATA.new" "$PGDATA"
fi
unset POSTGRES_PASSWORD
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql \
  -c password_encryption=scram-sha-256 "$@"
