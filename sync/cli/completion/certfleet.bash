# bash completion for certfleet(1).  Names come from certfleet-sync, which has a
# second to tell them.

# What the words so far say of where to ask: --app, --socket, --config.
_certfleet_ask()
{
    local i value options=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        value=${COMP_WORDS[i + 1]}
        [[ $value == '=' ]] && value=${COMP_WORDS[i + 2]}
        case ${COMP_WORDS[i]} in
        -a | --app) [[ $1 == apps ]] || options+=(--app "$value") ;;
        -s | --socket) options+=(--socket "$value") ;;
        --config) options+=(--config "$value") ;;
        esac
    done
    shift
    timeout 1 "${COMP_WORDS[0]}" "${options[@]}" --json "$@" 2>/dev/null
}

_certfleet_names()
{
    _certfleet_ask names domains | sed -n 's/^      "name": "\(.*\)",*$/\1/p'
}

_certfleet_apps()
{
    _certfleet_ask apps domains | sed -n 's/^      "app": "\(.*\)",*$/\1/p' |
        sort -u
}

_certfleet_commands()
{
    "${COMP_WORDS[0]}" --help 2>/dev/null |
        sed -n '3,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'
}

# Those of the words on standard input that begin as the current one, quoted.
_certfleet_offer()
{
    local word cur=${COMP_WORDS[COMP_CWORD]//\\/}

    while IFS= read -r word; do
        [[ $word == "$cur"* ]] && COMPREPLY+=("$(printf %q "$word")")
    done
}

_certfleet_words()
{
    _certfleet_offer < <(printf '%s\n' "$@")
}

_certfleet_files()
{
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
}

# The value of the option before; fails when that wants none.
_certfleet_value()
{
    local option=${COMP_WORDS[COMP_CWORD - 1]}

    if [[ $option == '=' ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ ${COMP_WORDS[COMP_CWORD]} == '=' ]]; then
        return 0
    fi
    case $option in
    -a | --app) _certfleet_offer < <(_certfleet_apps) ;;
    --color) _certfleet_words auto always never ;;
    --from) _certfleet_words certbot acme.sh lego caddy haproxy auto ;;
    --role) _certfleet_words read operate admin ;;
    --reason) _certfleet_words unspecified keyCompromise superseded cessationOfOperation ;;
    --cert | --key | --config | --haproxy-config | -s | --socket) _certfleet_files ;;
    --days | -n | --lines) ;;
    *) return 1 ;;
    esac
}

_certfleet_options()
{
    local all='--app --color --config --help --json --socket --version'

    case $1 in
    domains-add) all+=' --cert --key --no-letsencrypt --wait' ;;
    import) all+=' --dry-run --from --wait' ;;
    domains-remove) all+=' --dry-run --yes' ;;
    domains-ssl) all+=' --cert --key --wait' ;;
    domains-letsencrypt) all+=' --wait' ;;
    events) all+=' --follow --lines' ;;
    audit) all+=' --lines' ;;
    doctor) all+=' --haproxy-config' ;;
    renew) all+=' --dry-run --force --wait' ;;
    revoke) all+=' --reason --wait --yes' ;;
    rollback) all+=' --reason --yes' ;;
    kek) all+=' --yes' ;;
    token) all+=' --role --days' ;;
    esac
    # shellcheck disable=SC2086
    _certfleet_words $all
}

# $1: the command, $2: how many of its arguments are there, $3: the last one.
_certfleet_argument()
{
    case $1:$2 in
    domains-letsencrypt:1) _certfleet_words enable disable ;;
    domains-ssl:1) _certfleet_words disable ;;
    domains-remove:* | domains-ssl:0 | domains-letsencrypt:0 | revoke:0 | \
        rollback:0 | renew:* | check:0 | why:0 | limits:0 | nodes:0)
        _certfleet_offer < <(_certfleet_names)
        ;;
    account:0) _certfleet_words rollover ;;
    config:0) _certfleet_words check show ;;
    kek:0) _certfleet_words list rotate reseal retire backed-up ;;
    token:0) _certfleet_words create list revoke ;;
    env-set:*)
        compopt -o nospace 2>/dev/null
        _certfleet_words DNS_PROVIDER=
        ;;
    import:0 | plan:0) _certfleet_files ;;
    esac
}

_certfleet()
{
    local i word command='' n=0

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        # bash has cut --wait=60 and --app=shop in three.
        if [[ $word == -* && ${COMP_WORDS[i + 1]} == '=' ]]; then
            ((i += 2))
            continue
        fi
        case $word in
        -a | --app | -s | --socket | --config | --color | --cert | --key | \
            --haproxy-config | --role | --days | --from | --reason | -n | \
            --lines)
            ((i++))
            ;;
        -f) [[ -n $command ]] || ((i++)) ;;
        -*) ;;
        *) if [[ -z $command ]]; then command=$word; else ((n++)); fi ;;
        esac
    done
    if _certfleet_value; then
        return
    elif [[ ${COMP_WORDS[COMP_CWORD]} == -* ]]; then
        _certfleet_options "$command"
    elif [[ -z $command ]]; then
        _certfleet_offer < <(_certfleet_commands)
    else
        _certfleet_argument "$command" "$n"
    fi
}

complete -F _certfleet certfleet
