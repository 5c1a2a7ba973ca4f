#!/usr/bin/env bash
# Takes an empty project to the tutorial's last act on Cloud Run: a private receiver, and a sender that may call it because
# its own service account holds roles/run.invoker there. Run it again at any time: what is as it should be is left alone.
set -euo pipefail
# shellcheck source=deploy/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

value_flags="$value_flags ingress network subnet verify-as wait"
switch_flags="$switch_flags sender-public adopt"
ingress='' network='' subnet='' verify_as='' sender_public='' adopt=''

usage() {
  cat <<'END'
Usage: deploy/deploy.sh --project ID [flags]

Deploys receiving-service (private, always) and sending-service to Cloud Run, and lets the one call the other.

  --project ID        the project (gcloud's own)
  --region REGION     where everything is (us-central1)
  --repository NAME   the Artifact Registry repository for the images (invoker)
  --sender-public     lets everyone call the sender; without it the sender is private too
  --ingress WHICH     where the receiver takes requests from: all, internal or internal-and-cloud-load-balancing (all)
  --network, --subnet the VPC network and subnet that the sender calls through; needed unless ingress is all
  --verify-as EMAIL   the service account whose ID token calls a private sender to verify it (whoever is signed in)
  --wait SECONDS      how long Google may take to spread a change (600)
  --adopt             takes over services and a repository of these names that deploy.sh has not made
  --dry-run           prints every command that would change something, and changes nothing
  --yes               asks nothing

Each can be set in the environment instead: DEPLOY_PROJECT, DEPLOY_SENDER_PUBLIC=true, …
END
}

main() {
  take_settings "$@"
  ingress=${ingress:-all}
  wait=${wait:-600}
  must ingress '^(all|internal|internal-and-cloud-load-balancing)$' 'all, internal or internal-and-cloud-load-balancing'
  must wait '^[0-9]{1,5}$' 'seconds'
  must network '^[a-z0-9-]*$' "a network's name"
  must subnet '^[a-z0-9-]*$' "a subnet's name"
  must verify-as '^([a-z0-9-]+@[a-z0-9.-]+)?$' "a service account's email address"
  [ "$ingress" = all ] || [ -n "$network$subnet" ] ||
    fail "--ingress $ingress: the sender then has to call through a VPC; say which with --network and --subnet"
  command -v curl >/dev/null || fail 'curl is not installed, and what was deployed is verified with it'

  announce
  find_tables services accounts repositories bindings
  refuse_to_take_over
  confirm
  enable_apis
  make_accounts
  make_repository
  let_builder_build
  deploy_services
  open_or_close_sender
  verify_and_grant
  say ''
  [ "$dry_run" = false ] || say 'Nothing was changed: this was a dry run.'
  printf 'receiver %s\nsender   %s\n' "$receiver_url" "$sender_url"
}

announce() {
  local who=private
  [ "$sender_public" = false ] || who='open to everyone'
  cat >&2 <<END
Deploys to project $project, region $region:
  $receiver   private; ingress $ingress; runs as $receiver_account, which holds no role
  $sender     $who; runs as $sender_account, which holds roles/run.invoker on the receiver and nothing else
and for that two images, built as $builder_account, in Artifact Registry repository $repository.

Cost: the project needs a billing account. Services without requests scale to zero and cost nothing; each runs two
instances at most. A build takes minutes of Cloud Build, an image is stored at about 100 MB: small, but not always free.
See https://cloud.google.com/run/pricing, …/build/pricing and …/artifact-registry/pricing. deploy/destroy.sh removes it all.

END
}

refuse_to_take_over() {
  [ "$adopt" = false ] || return 0
  local name
  for name in "$receiver" "$sender"; do
    [ -z "$(column "$services" "$name" 1)" ] || [ "$(column "$services" "$name" 2)" = "$mark" ] ||
      fail "service $name was not made by deploy.sh: delete it, or let it be replaced with --adopt"
  done
  [ -z "$(column "$repositories" "$repository" 1)" ] || [ "$(column "$repositories" "$repository" 2)" = "$mark" ] ||
    fail "repository $repository was not made by deploy.sh: name another with --repository, or use it with --adopt"
}

enable_apis() {
  local api missing=()
  for api in artifactregistry cloudbuild cloudresourcemanager iam logging run storage ${verify_as:+iamcredentials}; do
    enabled "$api" || missing+=("$api.googleapis.com")
  done
  [ ${#missing[@]} = 0 ] || change services enable "${missing[@]}"
}

make_accounts() {
  make_account "$receiver_account" 'Receiving service, without any role'
  make_account "$sender_account" 'Calling Service Account'
  make_account "$builder_account" 'Builds images'
}

make_account() {
  [ -z "$(column "$accounts" "$(account_of "$1")" 1)" ] || return 0
  change iam service-accounts create "$1" "--display-name=$2" "--description=$account_description"
}

make_repository() {
  [ -z "$(column "$repositories" "$repository" 1)" ] || return 0
  change artifacts repositories create "$repository" "--location=$region" --repository-format=docker \
    "--labels=$mark_label=$mark"
}

# Google's role for accounts that build: reading the uploaded source, pushing images, writing the log. The project's
# default account would do, too, but where it can build it is an Editor.
let_builder_build() {
  has "$bindings" "$builder_role|$(member_of "$builder_account")|" ||
    change projects add-iam-policy-binding "$project" "--member=$(member_of "$builder_account")" \
      "--role=$builder_role" --condition=None --format=none
}

deploy_services() {
  # The manifests' variables, which render reads by name.
  # shellcheck disable=SC2034
  {
    PROJECT=$project RECEIVER_INGRESS=$ingress
    NETWORK=$network SUBNET=$subnet EGRESS=${network:+all-traffic}
    RECEIVER_IMAGE=$(image_of receiver "$receiver")
    SENDER_IMAGE=$(image_of sender "$sender")
  }

  build_unless_serving receiver "$receiver" "$RECEIVER_IMAGE"
  replace_service receiver.yaml "$receiver"
  receiver_url=$url
  # A service is made without allUsers, but one that was there before may have it.
  close_service "$receiver"

  # shellcheck disable=SC2034
  RECEIVING_SERVICE_URL=$receiver_url
  build_unless_serving sender "$sender" "$SENDER_IMAGE"
  replace_service sender.yaml "$sender"
  sender_url=$url
}

# image_of FOLDER NAME: tagged with what it is built from, so that other sources are another image and the same are not.
image_of() {
  printf '%s-docker.pkg.dev/%s/%s/%s:%s' "$region" "$project" "$repository" "$2" "$(fingerprint "$1")"
}

fingerprint() (
  cd "$root"
  find package.json bun.lock tsconfig.json patches service "$1" deploy/cloudbuild.yaml -type f \
    ! -name '*.test.ts' ! -name '*.fixture.ts' | LC_ALL=C sort | while IFS= read -r file; do
    printf '%s %s\n' "$file" "$(checksum <"$file")"
  done | checksum | cut -c1-16
)

checksum() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

# build_unless_serving FOLDER NAME IMAGE
build_unless_serving() {
  [ "$(column "$services" "$2" 3)|$(column "$services" "$2" 4)" != "$3|True" ] || return 0
  change builds submit "$root" --config="$root/deploy/cloudbuild.yaml" --ignore-file=deploy/sources.gcloudignore \
    "--substitutions=_FOLDER=$1,_IMAGE=$3" "--gcs-source-staging-dir=$(staging)" \
    "--service-account=projects/$project/serviceAccounts/$(account_of "$builder_account")" --format=none
}

# replace_service MANIFEST NAME: applies it, which is nothing where nothing differs. Sets $url.
replace_service() {
  render "$root/deploy/manifests/$1" >"$scratch/$1"
  change_with "$scratch/$1" run services replace - "--region=$region" '--format=value(status.url)' >"$scratch/url"
  url=$(cat "$scratch/url")
  # In a dry run a service that is not there yet has no address.
  [ "$dry_run" = false ] || url=$(column "$services" "$2" 5)
  url=${url:-https://$2-…run.app}
}

# A manifest with its ${VARIABLES} filled in. A line with an empty one is left out.
render() {
  local line name
  while IFS= read -r line || [ -n "$line" ]; do
    while [[ $line =~ \$\{([A-Z_]+)\} ]]; do
      name=${BASH_REMATCH[1]}
      [ -n "${!name}" ] || continue 2
      line=${line/"\${$name}"/${!name}}
    done
    printf '%s\n' "$line"
  done <"$1"
}

service_policy() {
  [ -z "$(column "$services" "$1" 1)" ] && [ "$dry_run" = true ] && return
  list_policy run services get-iam-policy "$1" "--region=$region"
}

# close_service NAME: takes away what lets in everyone, or everyone with a Google account. Leaves its policy in $policy.
close_service() {
  local member
  policy=$(service_policy "$1")
  for member in allUsers allAuthenticatedUsers; do
    ! has "$policy" "roles/run.invoker|$member|" ||
      change run services remove-iam-policy-binding "$1" "--region=$region" "--member=$member" \
        --role=roles/run.invoker --format=none
  done
}

open_or_close_sender() {
  receiver_policy=$policy
  if [ "$sender_public" = false ]; then
    close_service "$sender"
  else
    policy=$(service_policy "$sender")
    has "$policy" 'roles/run.invoker|allUsers|' ||
      change run services add-iam-policy-binding "$sender" "--region=$region" --member=allUsers \
        --role=roles/run.invoker --format=none
  fi
}

greeting='Response from receiving service: Hello from the receiving service!'

verify_and_grant() {
  local member outside=403
  member=$(member_of "$sender_account")
  # facts 1.1: a request from where the ingress setting lets none in is answered as if there were no service.
  [ "$ingress" = all ] || outside=404
  if [ "$dry_run" = false ]; then
    if [ "$sender_public" = false ]; then sign_in; else : >"$scratch/credential"; fi
    expect "$outside" '' 'the receiver, called by nobody in particular' "$receiver_url" /dev/null
  fi
  if has "$receiver_policy" "roles/run.invoker|$member|"; then
    say "ok: $sender_account holds roles/run.invoker on $receiver already"
  else
    [ "$dry_run" = true ] ||
      expect 403 'Response from receiving service: ' "the sender, without a role on the receiver" "$sender_url" "$scratch/credential"
    change run services add-iam-policy-binding "$receiver" "--region=$region" "--member=$member" \
      --role=roles/run.invoker --format=none
  fi
  [ "$dry_run" = true ] ||
    expect 200 "$greeting" 'the sender, with roles/run.invoker on the receiver' "$sender_url" "$scratch/credential"
}

# An ID token for the sender, as a header in a file: an argument could be read by every user of the machine.
sign_in() {
  local flags=() token
  if [ -n "$verify_as" ]; then
    flags=("--impersonate-service-account=$verify_as" "--audiences=$sender_url" --include-email)
  elif [[ $(look config get-value account) = *gserviceaccount.com ]]; then
    flags=("--audiences=$sender_url")
  fi
  token=$(look auth print-identity-token ${flags[@]+"${flags[@]}"}) ||
    fail 'deployed, but not verified: no ID token to call the private sender with. Name an account with --verify-as, or use --sender-public'
  (umask 077 && printf 'Authorization: Bearer %s\n' "$token" >"$scratch/credential")
}

# expect STATUS TEXT WHAT URL CREDENTIAL: calls until the answer is of this status and its body begins with this text.
expect() {
  local status told='' started=$SECONDS
  while :; do
    status=$(curl --silent --show-error --max-time 30 --header "@$5" --output "$scratch/body" --write-out '%{http_code}' \
      "$4/" 2>"$scratch/remarks") || status=unreachable
    [ "$status" != "$1" ] || [ "$(head -c ${#2} "$scratch/body")" != "$2" ] || break
    [ $((SECONDS - started)) -lt "$wait" ] ||
      fail "$3: expected $1 within $wait s and it still answers $status; see: gcloud run services logs read $receiver --region $region"
    [ -n "$told" ] || say "  waiting for $1 from $3: $status so far (Google takes 2 to 7 minutes to spread a change of policy)"
    told=yes
    sleep 5
  done
  say "ok: $1 from $3"
}

main "$@"
