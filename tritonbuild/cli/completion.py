"""`tritonbuild completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

ONE_WORD = """
_tritonbuild_labels() {
    # Bash breaks words at colons and equals signs, but a label is one word.
    local line=${COMP_LINE:0:COMP_POINT} breaks=${COMP_WORDBREAKS//[^:=]/}
    local word COMP_WORDS COMP_CWORD
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *' ' ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    word=${COMP_WORDS[COMP_CWORD]}
    _tritonbuild_completion "$@"
    [[ ${COMPREPLY[0]} == *: ]] && compopt -o nospace
    [[ $breaks ]] && COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*[$breaks]}"}"}")
    return 0
}
complete -o nosort -F _tritonbuild_labels tritonbuild
"""
ANY_WORD = """
# The brackets of a label such as :plan[gpu=L4] are no pattern for files.
alias tritonbuild='noglob tritonbuild'
"""
ADDED = {"bash": ONE_WORD, "zsh": ANY_WORD}


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a shell's completion script: verbs, flags and labels.

    \b
    bash:  source <(tritonbuild completion bash)
    zsh:   source <(tritonbuild completion zsh)
    fish:  tritonbuild completion fish | source
    """
    from tritonbuild.cli.main import tritonbuild

    maker = get_completion_class(shell)
    assert maker is not None, "click knows the three shells"
    script = maker(tritonbuild, {}, "tritonbuild", "_TRITONBUILD_COMPLETE").source()
    click.echo(script + ADDED.get(shell, ""))
