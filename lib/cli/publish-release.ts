import { type PublishOptions, publish } from './publish.ts'

export function publishRelease(options: PublishOptions): Promise<number> {
  return publish(['bundle', 'code'], options)
}
