
_fairdarts_complete() {
    local name=${${${words[1]:t}#fairdarts-}//-/_} before=${words[CURRENT - 1]} flag=
    local -a found
    if [[ $PREFIX == --*=* ]]; then
        flag=${PREFIX%%=*}
        compset -P '*='
    elif [[ $before == --* ]] && _fairdarts_flags $name | grep -qxe "$before="; then
        flag=$before
    elif [[ $PREFIX == -* ]]; then
        found=(${(f)"$(_fairdarts_flags $name)"})
        compadd -S '' -- ${(M)found:#*=}
        compadd -- ${found:#*=}
        return
    fi
    found=(${(f)"$(_fairdarts_values $name:${flag#--})"})
    [[ $flag != --flagfile ]] || found=(/)
    if _fairdarts_is_list $name:${flag#--}; then
        compset -P '*,'
        compadd -S '' -- ${found:#/}
    else
        compadd -- ${found:#/}
    fi
    if (( ${found[(I)/]} )); then
        compset -P 'folder:'
        _files
    fi
}

compdef _fairdarts_complete @PROGRAMS@
