/* The providers there are, for the registry. */
#ifndef PROVIDERS_PROVIDERS_H
#define PROVIDERS_PROVIDERS_H

#include "providers/provider.h"

extern const struct provider provider_azure;
extern const struct provider provider_cloudflare;
extern const struct provider provider_dnsimple;
extern const struct provider provider_gandi;
extern const struct provider provider_gandiv5;
extern const struct provider provider_gcloud;
extern const struct provider provider_godaddy;
extern const struct provider provider_ovh;
extern const struct provider provider_route53;

#endif
