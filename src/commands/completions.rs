//! `restage completions SHELL`: a script by which the shell asks restage itself.

use clap_complete::env::Shells;

use crate::complete;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

/// bash cuts words at `@`, which names of instances have: they are joined for the question, and the
/// answers cut again.
const JOINED: &str = r#"
_restage() {
    local -a whole=()
    local i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        if ((i > 1)) && [[ ${COMP_WORDS[i]} == @* || ${COMP_WORDS[i - 1]} == *@ ]]; then
            whole[${#whole[@]} - 1]+=${COMP_WORDS[i]}
        else
            whole+=("${COMP_WORDS[i]}")
        fi
    done
    local -a COMP_WORDS=("${whole[@]}")
    local COMP_CWORD=$((${#whole[@]} - 1))
    local last=${whole[COMP_CWORD]}
    _clap_complete_restage "$1" "$last" "${whole[COMP_CWORD - 1]}"
    if [[ $last == *@* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${last%@*}@"}")
    fi
}
complete -o nospace -o bashdefault -o default -F _restage restage
"#;

pub(crate) fn completions(shell: clap_complete::Shell, out: &mut Output) -> Result<Exit, CliError> {
    let name = shell.to_string();
    let shells = Shells::builtins();
    let completer = shells
        .completer(&name)
        .ok_or_else(|| CliError::usage(format!("there is no completion for {name}")))?;
    let mut script = Vec::new();
    completer
        .write_registration(
            complete::VARIABLE,
            "restage",
            "restage",
            "restage",
            &mut script,
        )
        .map_err(CliError::machine)?;
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == clap_complete::Shell::Bash {
        script += JOINED;
    }
    out.data(&script)?;
    Ok(Exit::Ok)
}
