/** Takes user names and passwords out of every address in a text that somebody will read. */
export function maskCredentials(text: string): string {
  return text.replace(/(\w+:\/\/)[^/@\s"']+@/g, '$1****@')
}

/** The address without what only its owner may know. `git@`, as ssh has it, is no secret. */
export function withoutCredentials(url: string): string {
  return url.replace(/^((?:\w+\+)?(\w+):\/\/)([^/@]+)@/, (whole, start, scheme, user) =>
    scheme === 'ssh' && !user.includes(':') ? whole : start,
  )
}

/** `${NAME}` as pip fills it in; one that is not set stays as it is. */
export function fillVariables(text: string, environment = process.env): string {
  return text.replace(/\$\{([A-Z0-9_]+)\}/g, (whole, name) => environment[name] ?? whole)
}
