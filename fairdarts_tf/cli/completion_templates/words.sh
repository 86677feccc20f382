# Made from the flags of fairdarts_tf's commands; made anew by the command completion.

_fairdarts_flags() {
    case $1 in
@FLAGS@
    esac
}

# Of COMMAND:FLAG, or of COMMAND: for its arguments: names, one a line, and / where files are names too.
_fairdarts_values() {
    case $1 in
@VALUES@
    esac
}

_fairdarts_is_list() {
    case $1 in
@LISTS@
    esac
    return 1
}
