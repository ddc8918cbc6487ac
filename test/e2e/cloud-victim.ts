import { type Cloud, type CloudOptions, type FleetScope, startCloud } from '../../local/cloud.ts'

export type CloudWord =
  | { start: CloudOptions }
  | { startFleet: FleetScope & { count: number } }
  | { addTarget: FleetScope }
  | { stopTarget: string }

/** A local cloud that does as it is told by its parent, to be killed; it ends with it. */
let cloud: Cloud | undefined

process.on('message', async (word: CloudWord) => {
  if ('start' in word) {
    cloud = await startCloud(word.start)
    const { url, env, outputs, bucket } = cloud
    process.send?.({ url, env, outputs, bucket })
  } else if ('startFleet' in word) {
    process.send?.(await cloud?.startFleet(word.startFleet))
  } else if ('stopTarget' in word) {
    await cloud
      ?.targets()
      .find(({ instanceId }) => instanceId === word.stopTarget)
      ?.stop()
    process.send?.('stopped')
  } else {
    process.send?.(await cloud?.addTarget(word.addTarget))
  }
})
process.on('disconnect', async () => {
  await cloud?.stop()
  process.exit()
})
