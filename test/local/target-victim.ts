import { startTargetCloud } from './target-cloud.ts'

/** A local cloud with one target, to be killed. */
const { target, root } = await startTargetCloud(process.argv[2] === 'bwrap' ? 'bwrap' : 'none')
console.log(JSON.stringify({ url: target.url, root }))
