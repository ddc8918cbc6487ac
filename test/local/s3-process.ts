import { openCredentialStore } from '../../local/credentials.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import { createS3Service } from '../../local/s3/service.ts'

/** S3 in a process of its own, to be killed: prints its address and keys as one line of JSON. */
const directory = process.argv[2] ?? ''
const credentials = openCredentialStore(directory)
const s3 = createS3Service({ directory, region: 'us-east-1' })
await s3.createBucket('kept', { versioned: true })
const { url } = await startEndpoint({ port: 0, credentials, services: { s3 } })
console.log(JSON.stringify({ endpoint: url, credentials: credentials.issue('publisher') }))
