#!/usr/bin/env bash
# Make a stand-in for the public Lambda base image where no container registry can be reached:
#
#   deploy/images/make_local_base.sh [TAG]
#
# Debian's Python 3.11 with pip and the certificate authorities that this machine trusts: what the Dockerfile needs of
# a base and nothing more. For building and testing on this machine; an image that is published stands on the public one.
# Needs: mmdebstrap, a Debian mirror, docker.
set -euo pipefail

tag=${1:-diglot-local-base:bookworm}
docker=${DOCKER:-docker}
authorities=/usr/local/share/ca-certificates
bundle=/etc/ssl/certs/ca-certificates.crt

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

hooks=()
if compgen -G "$authorities/*.crt" > /dev/null; then
  # Behind a proxy that re-signs traffic, the package index is reached only by who trusts the proxy's authority.
  hooks+=(--customize-hook="copy-in $authorities/ /usr/local/share/" --chrooted-customize-hook=update-ca-certificates)
fi

# shellcheck disable=SC2016 # the hooks' $1 is mmdebstrap's, not ours
# The same mirror and suite as this machine's, so that its cache and its proxy rules serve here too.
mmdebstrap \
  --mode=auto \
  --variant=minbase \
  --include=ca-certificates,python3,python3-pip \
  --aptopt='APT::Install-Recommends "false"' \
  --aptopt='Acquire::Check-Valid-Until "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
  --customize-hook='ln -sf python3 "$1/usr/bin/python"' \
  "${hooks[@]}" \
  bookworm "$work/base.tar"

"$docker" import \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' \
  --change "ENV SSL_CERT_FILE=$bundle PIP_CERT=$bundle REQUESTS_CA_BUNDLE=$bundle" \
  --change 'LABEL diglot.base=local' \
  "$work/base.tar" "$tag" > "$work/id"
echo "$tag $(cat "$work/id")"
