import { type PublishOptions, publish } from './publish.ts'

export function publishBundle(options: PublishOptions): Promise<number> {
  return publish(['bundle'], options)
}
