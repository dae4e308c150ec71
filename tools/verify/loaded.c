#include "verify/loaded.h"

#include "verify/procedural.h"

#include <string.h>

svr_status loaded_vae_open(svr_backend *backend, svr_dtype storage, const char *path,
                           loaded_vae *out, svr_error *err)
{
    *out = (loaded_vae){0};
    SVR_TRY(svr_safetensors_open(path, &out->file, err));
    SVR_TRY(svr_vae_config_read(out->file, &out->config, err));
    SVR_TRY(svr_weights_bind_vae(out->file, &out->config, &out->weights, err));
    SVR_TRY(svr_store_create(backend, out->weights, storage, SVR_VAE_GROUPS, &out->store, err));
    SVR_TRY(svr_vae_create(&out->config, out->store, &out->vae, err));
    return svr_store_load(out->store, 0, SVR_VAE_GROUPS, NULL, err);
}

void loaded_vae_close(loaded_vae *net)
{
    svr_vae_destroy(net->vae);
    svr_store_destroy(net->store);
    svr_weights_destroy(net->weights);
    svr_safetensors_close(net->file);
    *net = (loaded_vae){0};
}

static svr_status create_dit(const loaded_form *form, loaded_dit *net, svr_error *err)
{
    svr_dtype factors = svr_quantization_factors(form->quantization, net->weights);

    SVR_TRY(svr_store_create(form->backend, net->weights, form->storage,
                             svr_dit_groups(&net->config), &net->store, err));
    if (factors != SVR_F32)
        SVR_TRY(svr_store_quantize(net->store, factors, err));
    SVR_TRY(svr_dit_create(&net->config, net->store, &net->dit, err));
    if (form->quantization == SVR_QUANTIZATION_INT8_W8A8)
        svr_dit_quantize_activations(net->dit);
    return SVR_OK;
}

svr_status loaded_dit_open(const loaded_form *form, const char *path, const int windows[3],
                           loaded_dit *out, svr_error *err)
{
    *out = (loaded_dit){0};
    SVR_TRY(svr_safetensors_open(path, &out->file, err));
    SVR_TRY(svr_dit_config_read(out->file, &out->config, err));
    memcpy(out->config.windows, windows, sizeof(out->config.windows));
    SVR_TRY(svr_weights_bind_dit(out->file, &out->config, &out->weights, err));
    SVR_TRY(create_dit(form, out, err));
    return svr_store_load(out->store, 0, svr_dit_groups(&out->config), NULL, err);
}

svr_status loaded_dit_generate(const loaded_form *form, const svr_dit_config *config, int layer,
                               uint32_t *seed, loaded_dit *out, svr_error *err)
{
    *out = (loaded_dit){.config = *config};
    SVR_TRY(svr_weights_generate_dit(config, procedural_generate, seed, &out->weights, err));
    SVR_TRY(create_dit(form, out, err));
    return svr_store_load(out->store, layer, 1, NULL, err);
}

void loaded_dit_close(loaded_dit *net)
{
    svr_dit_destroy(net->dit);
    svr_store_destroy(net->store);
    svr_weights_destroy(net->weights);
    svr_safetensors_close(net->file);
    *net = (loaded_dit){0};
}
