"""What a shell needs to ask dlrun for completions."""

BASH = r"""# dlrun's completion for bash: eval "$(dlrun completion bash)"
_dlrun_complete() {
    local answer flags=
    COMPREPLY=()
    while IFS= read -r answer; do
        if [[ -z $flags ]]; then flags=$answer; else COMPREPLY+=("$answer"); fi
    done < <(_DLRUN_COMPLETE=bash _DLRUN_LINE="${COMP_LINE:0:COMP_POINT}" \
        _DLRUN_BREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null)
    if [[ $flags == *nospace* ]]; then compopt -o nospace; fi
    if [[ $flags == *files* ]]; then compopt -o default; fi
}
complete -F _dlrun_complete dlrun
"""

ZSH = r"""#compdef dlrun
# dlrun's completion for zsh: eval "$(dlrun completion zsh)", after compinit
_dlrun() {
    local -a answer
    local line word flags
    # PREFIX is the word up to the cursor, without a quote that is open.
    answer=("${(@f)$(_DLRUN_COMPLETE=zsh "${words[1]}" "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" \
        2>/dev/null)}")
    flags=$answer[1]
    local -a open_words open_told done_words done_told
    for line in "${(@)answer[2,-1]}"; do
        word=${line%%$'\t'*}
        if [[ $word == *[=./] ]]; then
            open_words+=("$word"); open_told+=("${line/$'\t'/  }")
        elif [[ -n $word ]]; then
            done_words+=("$word"); done_told+=("${line/$'\t'/  }")
        fi
    done
    (( $#open_words )) && compadd -S '' -l -d open_told -a open_words
    (( $#done_words )) && compadd -l -d done_told -a done_words
    [[ $flags == *files* ]] && _files
}
if [[ $funcstack[1] == _dlrun ]]; then _dlrun "$@"; else compdef _dlrun dlrun; fi
"""

FISH = r"""# dlrun's completion for fish: dlrun completion fish | source
function __dlrun_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    for quote in '' "'" '"' # one may be open
        if set -l plain (string unescape -- "$last$quote")
            set last $plain
            break
        end
    end
    set -l answer (_DLRUN_COMPLETE=fish $words[1] $words[2..-1] "$last" 2>/dev/null)
    printf '%s\n' $answer[2..-1]
    if string match -q '*files*' -- "$answer[1]"
        __fish_complete_path "$last"
    end
end
complete -c dlrun -f -a '(__dlrun_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
