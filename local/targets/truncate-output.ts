const CAPACITY = 2500
const TITLE = '\n----------ERROR-------\n'
const OUTPUT_CUT = '\n---Output truncated---'
const ERROR_CUT = '\n---Error truncated----'

/** Both streams of a step in one text, as the agent shortens them: each keeps its beginning. */
export function truncateOutput(output: string, error: string): string {
  const title = error ? TITLE : ''
  const room = CAPACITY - title.length
  if (output.length + error.length < room) return output + title + error
  if (output.length > room / 2 && error.length > room / 2) {
    const half = Math.floor((room - ERROR_CUT.length - OUTPUT_CUT.length) / 2)
    return output.slice(0, half) + OUTPUT_CUT + title + error.slice(0, half) + ERROR_CUT
  }
  if (output.length <= room / 2) {
    return output + title + error.slice(0, room - ERROR_CUT.length - output.length) + ERROR_CUT
  }
  return output.slice(0, room - OUTPUT_CUT.length - error.length) + OUTPUT_CUT + title + error
}
