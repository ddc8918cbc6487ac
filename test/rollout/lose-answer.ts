import type { ServerResponse } from 'node:http'

/**
 * The work is done, and who asked for it never hears of it. The connection ends, not the response: one that waits
 * for the response before it has no connection yet, and its client would wait for ever.
 */
export function loseAnswer(response: ServerResponse): void {
  const lose = () => {
    response.req.socket.destroy()
    response.destroy()
  }
  response.write = () => {
    lose()
    return false
  }
  response.end = () => {
    lose()
    return response
  }
}
