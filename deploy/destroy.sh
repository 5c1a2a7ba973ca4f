#!/usr/bin/env bash
# Removes what deploy.sh has made in a project and region, and only that. Run it again at any time.
set -euo pipefail
# shellcheck source=deploy/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<'END'
Usage: deploy/destroy.sh --project ID [flags]

Removes the services, service accounts, role and images that deploy/deploy.sh has made. APIs stay enabled: that is free.

  --project ID        the project (gcloud's own)
  --region REGION     where everything is (us-central1)
  --repository NAME   the Artifact Registry repository of the images (invoker)
  --dry-run           prints every command that would change something, and changes nothing
  --yes               asks nothing

Each can be set in the environment instead: DEPLOY_PROJECT, DEPLOY_DRY_RUN=true, …
END
}

main() {
  take_settings "$@"
  say "Removes from project $project, region $region, what deploy.sh has made there."
  find_tables services accounts repositories bindings sources
  list
  confirm

  local name
  for name in "$receiver" "$sender"; do
    ! is_ours "$services" "$name" || change run services delete "$name" "--region=$region"
  done
  # Before its account, or the policy would go on holding a deleted member.
  ! made_account "$builder_account" || ! has "$bindings" "$builder_role|$(member_of "$builder_account")|" ||
    change projects remove-iam-policy-binding "$project" "--member=$(member_of "$builder_account")" "--role=$builder_role" \
      --condition=None --format=none
  for name in "$sender_account" "$receiver_account" "$builder_account"; do
    ! made_account "$name" || change iam service-accounts delete "$(account_of "$name")"
  done
  ! is_ours "$repositories" "$repository" ||
    change artifacts repositories delete "$repository" "--location=$region"
  [ -z "$sources" ] || change storage rm "$(staging)/**"

  [ "$dry_run" = false ] || say 'Nothing was changed: this was a dry run.'
}

list() {
  local name found=''
  for name in "$receiver" "$sender"; do tell "service $name" "$services" "$name"; done
  tell "repository $repository, with every image in it" "$repositories" "$repository"
  for name in "$sender_account" "$receiver_account" "$builder_account"; do
    if made_account "$name"; then
      say "  service account $name"
      found=yes
    elif [ -n "$(column "$accounts" "$(account_of "$name")" 1)" ]; then
      say "  (service account $name stays: deploy.sh did not make it)"
    fi
  done
  if [ -n "$sources" ]; then
    say "  uploaded sources in $(staging)"
    found=yes
  fi
  [ -n "$found" ] && return
  say 'There is nothing of it left.'
  exit 0
}

# tell WHAT TABLE NAME
tell() {
  if is_ours "$2" "$3"; then
    say "  $1"
    found=yes
  elif [ -n "$(column "$2" "$3" 1)" ]; then
    say "  ($1 stays: deploy.sh did not make it)"
  fi
}

is_ours() {
  [ "$(column "$1" "$2" 2)" = "$mark" ]
}

made_account() {
  [ "$(column "$accounts" "$(account_of "$1")" 2)" = "$account_description" ]
}

main "$@"
