# shellcheck shell=bash disable=SC2034
# What deploy.sh and destroy.sh share: settings, gcloud, asking, and the names of everything that is made.
# Needs bash 3.2 or later, gcloud and curl; nothing else.

receiver='receiving-service'
sender='sending-service'
receiver_account='receiver-sa'
sender_account='calling-service-sa'
builder_account='image-builder-sa'
builder_role='roles/cloudbuild.builds.builder'
# By these is known what deploy.sh has made: services and repositories have labels, accounts have none.
mark_label='managed-by'
mark='invoker-deploy'
account_description='Made by deploy/deploy.sh of invoker'

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$(basename "$0")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
exec 4>"$scratch/nothing"
# Never "yes" to a question of gcloud's, and no API is enabled but by name.
export CLOUDSDK_CORE_DISABLE_PROMPTS=true CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API=false

# Settings, by flag or by environment (DEPLOY_PROJECT, DEPLOY_DRY_RUN, …). A switch is true or false.
value_flags='project region repository'
switch_flags='dry-run yes'
project='' region='' repository='' dry_run='' yes=''
# What there is: see find_tables.
apis='' services='' accounts='' repositories='' bindings='' sources=''
# Set once something has been changed: then a refusal may only mean that Google has not spread the change yet.
changed=''
# How long that is waited for. Seconds.
wait=''

# take_settings FLAG…: the environment first, then the flags.
take_settings() {
  local name flag value variable
  for name in $value_flags $switch_flags; do
    variable=DEPLOY_$(printf %s "$name" | tr 'a-z-' 'A-Z_')
    printf -v "${name//-/_}" %s "${!variable-}"
  done
  while [ $# -gt 0 ]; do
    flag=${1%%=*}
    name=${flag#--}
    if [ "$flag" = --help ] || [ "$flag" = -h ]; then
      usage
      exit 0
    elif [ "$flag" = "--$name" ] && among "$name" "$value_flags"; then
      if [ "$flag" != "$1" ]; then
        value=${1#*=}
      else
        [ $# -gt 1 ] || fail "$flag needs a value; --help says which"
        value=$2
        shift
      fi
    elif [ "$1" = "--$name" ] && among "$name" "$switch_flags"; then
      value=true
    else
      fail "unknown flag $1; --help lists them all"
    fi
    printf -v "${name//-/_}" %s "$value"
    shift
  done
  for name in $switch_flags; do
    variable=${name//-/_}
    printf -v "$variable" %s "${!variable:-false}"
    must "$name" '^(true|false)$' 'true or false'
  done
  command -v gcloud >/dev/null || fail 'gcloud is not installed: https://cloud.google.com/sdk/docs/install'
  # As gcloud itself would choose it.
  [ -n "$project" ] || project=$(gcloud config get-value project 2>/dev/null)
  region=${region:-us-central1}
  repository=${repository:-invoker}
  must project '^[a-z][a-z0-9-]{4,28}[a-z0-9]$' 'a project id: --project ID, or gcloud config set project ID'
  must region '^[a-z]+-[a-z]+[0-9]+$' 'a region such as us-central1'
  must repository '^[a-z][a-z0-9-]{0,61}[a-z0-9]$' 'lower-case letters, digits and hyphens'
}

# must NAME PATTERN EXPECTED: values go into manifests and addresses, so each is what it should be or nothing is done.
must() {
  local variable=${1//-/_}
  [[ ${!variable} =~ $2 ]] || fail "--$1: expected $3, got '${!variable}'"
}

among() {
  case " $2 " in *" $1 "*) return 0 ;; esac
  return 1
}

fail() {
  printf '%s: %s\n' "$program" "$1" >&2
  exit 1
}

say() {
  printf '%s\n' "$*" >&2
}

# confirm: goes on only if the person says so, or --yes has. A dry run changes nothing and needs no leave.
confirm() {
  [ "$yes" = false ] && [ "$dry_run" = false ] || return 0
  [ -t 0 ] || fail 'nobody is there to ask: say --yes, or --dry-run to see what would be done'
  local answer
  read -r -p 'Go on? [y/N] ' answer
  case $answer in [yY] | [yY][eE][sS]) ;; *) fail 'nothing was changed' ;; esac
}

# look ARG…: what gcloud answers to a question. Its remarks are shown only when it fails.
look() {
  ask_google 4 /dev/null "$@"
}

# change ARG…: shows the command, and runs it unless this is a dry run. change_with FILE ARG… gives it an input.
change() {
  change_with /dev/null "$@"
}

change_with() {
  local input=$1
  shift
  printf '+ gcloud%s' "$(quoted "$@" "--project=$project")" >&2
  if [ "$dry_run" = true ]; then
    [ "$input" = /dev/null ] || printf " <<'END'\n%s\nEND" "$(cat "$input")" >&2
    printf '\n' >&2
    return 0
  fi
  printf '\n' >&2
  changed=true
  ask_google 2 "$input" "$@"
}

# quoted WORD…: as a shell takes them, each with a space before it.
quoted() {
  local word
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_=@%+,:./-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
    printf ' %s' "$word"
  done
}

# Google's own words for what a change of the last minutes may still bring about: an account, a role or an API that is new.
unspread='does not exist|may not exist|has not been used in project|does not have storage\.|actAs'

# ask_google SHOWN INPUT ARG…: runs gcloud, its remarks going to that descriptor, and again while a change spreads.
ask_google() {
  local shown=$1 input=$2 until=$((SECONDS + ${wait:-0})) remarks
  remarks=$(mktemp "$scratch/remarks.XXXXXX")
  shift 2
  while ! { gcloud "$@" "--project=$project" <"$input" 2>&1 >&3 3>&- | tee "$remarks" >&"$shown"; } 3>&1; do
    if [ -z "$changed" ] || [ "$SECONDS" -ge "$until" ] || ! grep -Eq "$unspread" "$remarks"; then
      [ "$shown" = 2 ] || cat "$remarks" >&2
      return 1
    fi
    say "  waiting until Google has spread what was just changed: $(grep -Em1 "$unspread" "$remarks")"
    sleep 5
  done
}

account_of() {
  printf '%s@%s.iam.gserviceaccount.com' "$1" "$project"
}

member_of() {
  printf 'serviceAccount:%s' "$(account_of "$1")"
}

# find_tables TABLE…: what there is, as variables of these names: lines whose columns are separated by |. gcloud is asked for all
# at once, as each takes it a second, and for nothing of an API that is not enabled.
find_tables() {
  local table pids='' pid
  apis=$(look services list --enabled --format='value(config.name)' | tr '\n' ' ')
  for table in "$@"; do
    "list_$table" >"$scratch/$table" &
    pids="$pids $!"
  done
  for pid in $pids; do wait "$pid" || exit 1; done
  for table in "$@"; do printf -v "$table" %s "$(cat "$scratch/$table")"; done
}

# enabled API: whether it is on.
enabled() {
  among "$1.googleapis.com" "$apis"
}

# NAME|MARK|IMAGE|READY|URL
list_services() {
  ! enabled run || look run services list "--region=$region" \
    "--format=$(csv metadata.name metadata.labels.$mark_label 'spec.template.spec.containers[0].image' 'status.conditions[0].status' status.url)"
}

# EMAIL|DESCRIPTION
list_accounts() {
  ! enabled iam || look iam service-accounts list "--format=$(csv email description)"
}

# NAME|MARK
list_repositories() {
  ! enabled artifactregistry || look artifacts repositories list "--location=$region" \
    "--format=$(csv 'name.basename()' "labels.$mark_label")"
}

# ROLE|MEMBER|CONDITION, of the project's policy.
list_bindings() {
  ! enabled cloudresourcemanager || list_policy projects get-iam-policy "$project"
}

list_policy() {
  look "$@" --flatten='bindings[].members[]' \
    "--format=$(csv bindings.role bindings.members bindings.condition.expression)"
}

# Sources that were uploaded to be built, in the bucket that gcloud itself keeps for them.
list_sources() {
  enabled storage || return 0
  local remarks="$scratch/remarks about sources"
  # gcloud counts finding nothing as a failure.
  gcloud storage ls "$(staging)/**" "--project=$project" 2>"$remarks" </dev/null ||
    grep -Eq 'matched no objects|not found: 404' "$remarks" ||
    { cat "$remarks" >&2 && return 1; }
}

staging() {
  printf 'gs://%s_cloudbuild/invoker' "$project"
}

# csv COLUMN…: gcloud's format for such a table.
csv() {
  local IFS=,
  printf "csv[no-heading,separator='|'](%s)" "$*"
}

# column TABLE KEY N: the Nth column of the line that begins with KEY; nothing where there is none.
column() {
  awk -F'|' -v key="$2" -v n="$3" '$1 == key { print $n; exit }' <<<"$1"
}

# has TABLE LINE
has() {
  grep -Fxq -- "$2" <<<"$1"
}
