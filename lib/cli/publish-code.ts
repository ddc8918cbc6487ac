import { type PublishOptions, publish } from './publish.ts'

export function publishCode(options: PublishOptions): Promise<number> {
  return publish(['code'], options)
}
