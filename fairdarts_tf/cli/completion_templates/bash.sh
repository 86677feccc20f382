
_fairdarts_complete() {
    local IFS=$'\n'
    local name=${1##*/} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} flag= kept= values
    name=${name#fairdarts-}
    name=${name//-/_}
    COMPREPLY=()
    # Where = divides words, --flag=value is three of them; where it does not, all of it is replaced.
    if [[ $word == = ]]; then
        flag=$before word=
    elif [[ $before == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $word == --*=* ]]; then
        flag=${word%%=*} kept=${word%%=*}= word=${word#*=}
    elif [[ $before == --* && $'\n'$(_fairdarts_flags "$name")$'\n' == *$'\n'"$before="$'\n'* ]]; then
        flag=$before
    elif [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$(_fairdarts_flags "$name")" -- "$word"))
        [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *= ]] || _fairdarts_option nospace
        return
    fi
    values=$(_fairdarts_values "$name:${flag#--}")
    if [[ $flag == --flagfile || $before == : ]]; then
        values=/
    elif _fairdarts_is_list "$name:${flag#--}" && [[ $word == *,* ]]; then
        kept=$kept${word%,*}, word=${word##*,}
    fi
    COMPREPLY=($(compgen -P "$kept" -W "${values%/}" -- "$word"))
    if [[ $values == */ ]]; then
        COMPREPLY+=($(compgen -P "$kept" -f -- "$word"))
        _fairdarts_option filenames
    fi
    ! _fairdarts_is_list "$name:${flag#--}" || _fairdarts_option nospace
}

# Bash 3.2 has no compopt; outside of a completion there is nothing to set.
_fairdarts_option() {
    compopt -o "$1" 2>/dev/null || true
}

complete -F _fairdarts_complete @PROGRAMS@
