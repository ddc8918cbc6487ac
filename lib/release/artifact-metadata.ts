/** Names of S3 object metadata on uploaded bundles and code; hints only, never trusted: nothing signs them. */

/** The request that follows the upload: an artifact that names one is left to it. */
export const REQUEST_METADATA = 'pybundle-request'

/** The bundle that dropped code wants, instead of the desired release's. */
export const BUNDLE_METADATA = 'pybundle-bundle'

/** The digest of the bundle or code, so that nothing is uploaded twice. */
export const DIGEST_METADATA = 'pybundle-digest'
