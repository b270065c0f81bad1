# fish completion for certfleet(1).  Names come from certfleet-sync, which has a
# second to tell them.

# What the words so far say of where to ask: --app, --socket, --config.
function __certfleet_ask
    set -l words (commandline -opc)
    set -l options
    for i in (seq 2 (count $words))
        switch $words[$i]
            case -a --app
                test $argv[1] = apps; or set -a options --app $words[(math $i + 1)]
            case -s --socket
                set -a options --socket $words[(math $i + 1)]
            case --config
                set -a options --config $words[(math $i + 1)]
        end
    end
    timeout 1 $words[1] $options --json $argv[2..-1] 2>/dev/null
end

function __certfleet_names
    __certfleet_ask names domains | sed -n 's/^      "name": "\(.*\)",*$/\1/p'
end

function __certfleet_apps
    __certfleet_ask apps domains | sed -n 's/^      "app": "\(.*\)",*$/\1/p' | sort -u
end

function __certfleet_commands
    certfleet --help 2>/dev/null | sed -n '3,/^$/s/^  \([a-z][a-z-]*\) *\(.*\)/\1\t\2/p'
end

# The command and its arguments so far.
function __certfleet_plain
    set -l words (commandline -opc)
    set -l skip 0
    for word in $words[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case -a --app -s --socket --config --color --cert --key --haproxy-config --role --days --from --reason -n --lines
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

function __certfleet_needs_command
    test (count (__certfleet_plain)) -eq 0
end

# Is the command one of those, with so many arguments behind it (any: -1)?
function __certfleet_at
    set -l plain (__certfleet_plain)
    test (count $plain) -ge 1; or return 1
    contains -- $plain[1] $argv[2..-1]; or return 1
    test $argv[1] -eq -1; or test (math (count $plain) - 1) -eq $argv[1]
end

complete -c certfleet -f
complete -c certfleet -n __certfleet_needs_command -a '(__certfleet_commands)'
complete -c certfleet -n '__certfleet_at -1 domains-remove renew' -a '(__certfleet_names)'
complete -c certfleet -n '__certfleet_at 0 domains-ssl domains-letsencrypt revoke rollback check why limits nodes' -a '(__certfleet_names)'
complete -c certfleet -n '__certfleet_at 1 domains-letsencrypt' -a 'enable disable'
complete -c certfleet -n '__certfleet_at 1 domains-ssl' -a disable
complete -c certfleet -n '__certfleet_at 0 account' -a rollover
complete -c certfleet -n '__certfleet_at 0 config' -a 'check show'
complete -c certfleet -n '__certfleet_at 0 kek' -a 'list rotate reseal retire backed-up'
complete -c certfleet -n '__certfleet_at 0 token' -a 'create list revoke'
complete -c certfleet -n '__certfleet_at -1 env-set' -a DNS_PROVIDER=
complete -c certfleet -n '__certfleet_at 0 import plan' -F

complete -c certfleet -s a -l app -x -a '(__certfleet_apps)' -d 'Of which app'
complete -c certfleet -l color -x -a 'auto always never' -d Colours
complete -c certfleet -l config -r -F -d Configuration
complete -c certfleet -s h -l help -d Usage
complete -c certfleet -l json -d 'Answer in JSON'
complete -c certfleet -s s -l socket -r -F -d 'The socket of certfleet-sync'
complete -c certfleet -s V -l version -d Version
complete -c certfleet -n '__certfleet_at -1 domains-add domains-ssl' -l cert -r -F -d 'PEM with the chain'
complete -c certfleet -n '__certfleet_at -1 domains-add domains-ssl' -l key -r -F -d 'PEM with the key'
complete -c certfleet -n '__certfleet_at -1 domains-add' -l no-letsencrypt -d 'Order nothing'
complete -c certfleet -n '__certfleet_at -1 domains-add domains-ssl domains-letsencrypt import renew revoke' -l wait -d 'Until it is served'
complete -c certfleet -n '__certfleet_at -1 events' -s f -l follow -d 'And what happens'
complete -c certfleet -n '__certfleet_at -1 events audit' -s n -l lines -x -d 'So many'
complete -c certfleet -n '__certfleet_at -1 domains-remove import renew' -l dry-run -d 'Only say what would be done'
complete -c certfleet -n '__certfleet_at -1 doctor' -l haproxy-config -r -F -d 'Its configuration'
complete -c certfleet -n '__certfleet_at -1 renew' -l force -d 'All the same'
complete -c certfleet -n '__certfleet_at -1 revoke' -l reason -x -a 'unspecified keyCompromise superseded cessationOfOperation' -d Why
complete -c certfleet -n '__certfleet_at -1 domains-remove revoke' -l yes -d 'Do not ask'
complete -c certfleet -n '__certfleet_at -1 rollback' -l reason -x -d Why
complete -c certfleet -n '__certfleet_at -1 rollback' -l yes -d 'Do not ask'
complete -c certfleet -n '__certfleet_at -1 token' -l role -x -a 'read operate admin' -d 'What it may'
complete -c certfleet -n '__certfleet_at -1 token' -l days -x -d 'It lives'
complete -c certfleet -n '__certfleet_at -1 import' -l from -x -a 'certbot acme.sh lego caddy haproxy auto' -d 'Whose they are'
